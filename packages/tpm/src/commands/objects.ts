/** Objects: CreatePrimary, Create, Load, LoadExternal, ReadPublic, Unseal (TPM 2.0 Library Part 3, sections 12 and 24.1). */

import type { ByteReader } from '@osguard/formats/bytes';
import { equalBytes } from '@osguard/formats/bytes';
import type { CommandName, TpmPublic } from '@osguard/formats/tpm2';
import {
  encodeSizedPublicArea,
  publicAreaName,
  qualifiedName,
  readSized,
  readSizedPublicArea,
  sized,
  tpmHandle,
  tpmWriter,
} from '@osguard/formats/tpm2';
import type { Authorization, Session } from '../authorization.ts';
import { TpmError } from '../error.ts';
import type { Entity, Tpm } from '../tpm.ts';
import { flushContext } from './context.ts';

/** An object in the TPM. */
export interface LoadedObject {
  readonly handle: number;
  readonly area: TpmPublic;
  /** Computed from the public area; that the TPM says the same was checked. */
  readonly name: Uint8Array;
}

/** TPMS_SENSITIVE_CREATE (Part 2, section 11.1.15). */
export interface SensitiveInput {
  /** Authorization value of the new object. */
  readonly auth?: Uint8Array;
  /** What is sealed. At most 128 bytes. */
  readonly data?: Uint8Array;
}

export interface CreatePrimaryOptions {
  readonly hierarchy: 'owner' | 'endorsement' | 'platform' | 'null';
  readonly template: TpmPublic;
  readonly sensitive?: SensitiveInput;
  /** Of the hierarchy; the empty value unless given. */
  readonly auth?: Authorization;
  /** Hides the new authorization value on its way. */
  readonly cover?: Session;
}

const longestPrivate = 2048;

/** Free it with `flushContext`. */
export async function createPrimary(tpm: Tpm, options: CreatePrimaryOptions): Promise<LoadedObject> {
  const { hierarchy, template, sensitive = {}, auth = {}, cover } = options;
  const { handle, parameters } = await tpm.run('CreatePrimary', {
    entities: [{ handle: tpmHandle[hierarchy], auth }],
    parameters: creation(template, sensitive),
    withHandle: true,
    ...hiding(cover),
  });
  return tpm.read('CreatePrimary', parameters, (reader) => {
    const area = readSizedPublicArea(reader);
    skipCreationProof(reader);
    return loaded('CreatePrimary', handle, { area, told: readSized(reader, 'name', 66) });
  });
}

export interface CreatedObject {
  /** TPM2B_PRIVATE, with its size: only this TPM, below this parent, can read it. */
  readonly private: Uint8Array;
  readonly area: TpmPublic;
}

export interface CreateOptions {
  readonly template: TpmPublic;
  readonly sensitive?: SensitiveInput;
  readonly cover?: Session;
}

/** A new object below a storage key; load it to use it. */
export async function create(tpm: Tpm, parent: Entity, options: CreateOptions): Promise<CreatedObject> {
  const { template, sensitive = {}, cover } = options;
  const call = {
    entities: [{ auth: {}, ...parent }],
    parameters: creation(template, sensitive),
    ...hiding(cover),
  };
  return tpm.ask('Create', call, (reader) => {
    const hidden = readSized(reader, 'private area', longestPrivate);
    const area = readSizedPublicArea(reader);
    skipCreationProof(reader);
    return { private: sized(hidden), area };
  });
}

export async function load(tpm: Tpm, parent: Entity, object: CreatedObject): Promise<LoadedObject> {
  const { handle, parameters } = await tpm.run('Load', {
    entities: [{ auth: {}, ...parent }],
    parameters: Buffer.concat([object.private, encodeSizedPublicArea(object.area)]),
    withHandle: true,
  });
  const told = tpm.read('Load', parameters, (reader) => readSized(reader, 'name', 66));
  return loaded('Load', handle, { area: object.area, told });
}

/** The public part of a key of somebody else, to verify what that key signed. */
export async function loadExternal(tpm: Tpm, area: TpmPublic): Promise<LoadedObject> {
  const { handle, parameters } = await tpm.run('LoadExternal', {
    parameters: tpmWriter().u16(0).bytes(encodeSizedPublicArea(area)).u32(tpmHandle.owner).finish(),
    withHandle: true,
  });
  const told = tpm.read('LoadExternal', parameters, (reader) => readSized(reader, 'name', 66));
  return loaded('LoadExternal', handle, { area, told });
}

export interface ReadPublicAnswer extends LoadedObject {
  readonly qualifiedName: Uint8Array;
}

export async function readPublic(tpm: Tpm, handle: number): Promise<ReadPublicAnswer> {
  return tpm.ask('ReadPublic', { entities: [{ handle }] }, (reader) => {
    const area = readSizedPublicArea(reader);
    const told = readSized(reader, 'name', 66);
    const qualified = readSized(reader, 'qualified name', 66);
    return { ...loaded('ReadPublic', handle, { area, told }), qualifiedName: qualified };
  });
}

/** What was sealed, hidden on its way when a session is given for it. */
export async function unseal(tpm: Tpm, object: Entity, cover?: Session): Promise<Uint8Array> {
  const call = {
    entities: [{ auth: {}, ...object }],
    ...(cover === undefined ? {} : { cover, hide: { response: true } }),
  };
  return tpm.ask('Unseal', call, (reader) => Uint8Array.from(readSized(reader, 'sealed data', 256)));
}

/** Qualified Name of a primary key, as attestations carry it. */
export function primaryQualifiedName(hierarchy: 'owner' | 'endorsement', area: TpmPublic): Uint8Array {
  return qualifiedName(tpmWriter().u32(tpmHandle[hierarchy]).finish(), area);
}

/** Runs `work` with an object that is flushed afterwards, whatever happens. */
export async function withObject<T>(
  tpm: Tpm,
  object: LoadedObject,
  work: (object: LoadedObject) => Promise<T>,
): Promise<T> {
  try {
    return await work(object);
  } finally {
    await flushContext(tpm, object.handle);
  }
}

function creation(template: TpmPublic, { auth, data }: SensitiveInput): Uint8Array {
  const sensitive = Buffer.concat([sized(auth ?? new Uint8Array()), sized(data ?? new Uint8Array())]);
  return (
    tpmWriter()
      .bytes(sized(sensitive))
      .bytes(encodeSizedPublicArea(template))
      // No outside information, no PCRs of the creation.
      .u16(0)
      .u32(0)
      .finish()
  );
}

function hiding(cover: Session | undefined): { cover?: Session; hide?: { command: true } } {
  return cover === undefined ? {} : { cover, hide: { command: true } };
}

/** TPM2B_CREATION_DATA, the creation hash and TPMT_TK_CREATION: nothing here uses them. */
function skipCreationProof(reader: ByteReader): void {
  readSized(reader, 'creation data', 1024);
  readSized(reader, 'creation hash', 64);
  reader.skip(6, 'creation ticket');
  readSized(reader, 'digest of the creation ticket', 64);
}

function loaded(
  command: CommandName,
  handle: number | undefined,
  { area, told }: { readonly area: TpmPublic; readonly told: Uint8Array },
): LoadedObject {
  const name = publicAreaName(area);
  if (!equalBytes(name, told)) {
    throw new TpmError('protocol', `the Name in the answer to ${command} is not that of its public area`);
  }
  return { handle: handle ?? 0, area, name };
}
