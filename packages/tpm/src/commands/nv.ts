/** NV storage (TPM 2.0 Library Part 3, section 31; Part 2, section 13). */

import type { ByteReader } from '@osguard/formats/bytes';
import { createHash } from 'node:crypto';
import { equalBytes, FormatError } from '@osguard/formats/bytes';
import { hashIds, isTpmHash, readSized, sized, tpmHandle, tpmReader, tpmWriter } from '@osguard/formats/tpm2';
import type { TpmHash } from '@osguard/formats/tpm2';
import type { Authorization } from '../authorization.ts';
import { TpmError } from '../error.ts';
import type { Tpm } from '../tpm.ts';

/** TPMA_NV (Part 2, section 13.4). */
export const nvAttributes = {
  ppWrite: 0x0000_0001,
  ownerWrite: 0x0000_0002,
  authWrite: 0x0000_0004,
  writeDefine: 0x0000_2000,
  ppRead: 0x0001_0000,
  ownerRead: 0x0002_0000,
  authRead: 0x0004_0000,
  noDa: 0x0200_0000,
  written: 0x2000_0000,
  platformCreate: 0x4000_0000,
} as const;

export interface NvPublic {
  readonly index: number;
  readonly nameAlg: TpmHash;
  /** Bits of {@link nvAttributes}. */
  readonly attributes: number;
  readonly authPolicy: Uint8Array;
  /** Bytes. */
  readonly size: number;
  /** Computed from the public area; that the TPM says the same was checked. */
  readonly name: Uint8Array;
}

/** Bytes at a time: every TPM can give that much. */
const chunk = 512;

export async function nvReadPublic(tpm: Tpm, index: number): Promise<NvPublic> {
  return tpm.ask('NV_ReadPublic', { entities: [{ handle: index }] }, (reader) => {
    const bytes = readSized(reader, 'NV public area', 256);
    const area = readNvPublic(tpmReader(bytes));
    const digest = createHash(area.nameAlg).update(bytes).digest();
    const name = tpmWriter().u16(hashIds[area.nameAlg]).bytes(digest).finish();
    if (!equalBytes(name, readSized(reader, 'name', 66)) || area.index !== index) {
      throw new TpmError('protocol', 'the NV index in the answer is not the one that was asked for');
    }
    return { ...area, name };
  });
}

function readNvPublic(reader: ByteReader): Omit<NvPublic, 'name'> {
  const index = reader.u32('NV index');
  const id = reader.u16('name algorithm');
  const nameAlg = Object.keys(hashIds).find((hash) => isTpmHash(hash) && hashIds[hash] === id);
  if (nameAlg === undefined || !isTpmHash(nameAlg)) {
    throw new FormatError('unsupported', `NV name algorithm 0x${id.toString(16)}`);
  }
  const attributes = reader.u32('NV attributes');
  const authPolicy = Uint8Array.from(readSized(reader, 'policy', 64));
  const size = reader.u16('size');
  reader.end('NV public area');
  return { index, nameAlg, attributes, authPolicy, size };
}

/** All of an index, authorized by its own empty value or, where that is not enough, by the owner. */
export async function nvRead(
  tpm: Tpm,
  index: number,
  options: { readonly owner?: Authorization } = {},
): Promise<Uint8Array> {
  const area = await nvReadPublic(tpm, index);
  const own = (area.attributes & nvAttributes.authRead) !== 0;
  const nv = { handle: index, name: area.name };
  const authority = own ? { ...nv, auth: {} } : { handle: tpmHandle.owner, auth: options.owner ?? {} };
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < area.size; offset += chunk) {
    const size = Math.min(chunk, area.size - offset);
    const parameters = tpmWriter().u16(size).u16(offset).finish();
    const call = { entities: [authority, nv], parameters };
    const piece = await tpm.ask('NV_Read', call, (reader) => readSized(reader, 'NV data', chunk));
    if (piece.length !== size) throw new TpmError('protocol', `${piece.length} bytes of ${size} from NV`);
    pieces.push(piece);
  }
  return new Uint8Array(Buffer.concat(pieces));
}

/** A new index that holds `data`, as a manufacturer leaves certificates; needs the platform's authorization. */
export async function nvProvision(tpm: Tpm, index: number, data: Uint8Array): Promise<void> {
  const { ppWrite, ppRead, ownerRead, authRead, noDa, platformCreate, writeDefine } = nvAttributes;
  const attributes = ppWrite | ppRead | ownerRead | authRead | noDa | platformCreate | writeDefine;
  const area = tpmWriter().u32(index).u16(hashIds.sha256).u32(attributes).u16(0).u16(data.length).finish();
  await tpm.run('NV_DefineSpace', {
    entities: [{ handle: tpmHandle.platform, auth: {} }],
    parameters: Buffer.concat([sized(new Uint8Array()), sized(area)]),
  });
  for (let offset = 0; offset < data.length; offset += chunk) {
    // The Name changes with the first write.
    const { name } = await nvReadPublic(tpm, index);
    const piece = data.subarray(offset, offset + chunk);
    await tpm.run('NV_Write', {
      entities: [
        { handle: tpmHandle.platform, auth: {} },
        { handle: index, name },
      ],
      parameters: tpmWriter().bytes(sized(piece)).u16(offset).finish(),
    });
  }
}
