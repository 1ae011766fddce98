/**
 * The endorsement key of a TPM: which machine this is (TCG EK Credential Profile for TPM Family 2.0, version 2.5,
 * section 2.2.1). The key is made again from its template, unless it is kept at its usual persistent handle.
 */

import { FormatError } from '@osguard/formats/bytes';
import type { Credential, EkProfile, TpmPublic } from '@osguard/formats/tpm2';
import {
  ekChainIndices,
  ekProfiles,
  encodePublicArea,
  parsePublicArea,
  tpmHandle,
  trimCertificatePadding,
} from '@osguard/formats/tpm2';
import { listHandles } from './commands/capability.ts';
import { activateCredential } from './commands/attestation.ts';
import { flushContext } from './commands/context.ts';
import { nvRead } from './commands/nv.ts';
import type { LoadedObject } from './commands/objects.ts';
import { createPrimary, readPublic } from './commands/objects.ts';
import { policySecret } from './commands/policy.ts';
import type { Authorization } from './authorization.ts';
import { isRefusal } from './error.ts';
import { withSession } from './sessions.ts';
import type { Entity, Tpm } from './tpm.ts';

export interface EndorsementKey extends LoadedObject {
  readonly profile: EkProfile;
  /** DER, padding removed; the key's own first. Empty when the TPM has no certificate. */
  readonly certificates: readonly Uint8Array[];
  /** True when the key stays in the TPM; otherwise free it with `flushContext`. */
  readonly persistent: boolean;
}

export interface EndorsementOptions {
  /** Of the endorsement hierarchy; the empty value unless given. */
  readonly auth?: Authorization;
}

/** Handles at which the profile keeps endorsement keys (section 2.2.1.3 with TCG's registry of reserved handles). */
const persistentKeys = { first: 0x8101_0001, last: 0x8101_0004 } as const;

/** NV indices with which a manufacturer changes the low-range templates (section 2.2.1.4). */
const lowRangeNv: Readonly<Record<string, { readonly nonce: number; readonly template: number }>> = {
  'L-1': { nonce: 0x01c0_0003, template: 0x01c0_0004 },
  'L-2': { nonce: 0x01c0_000b, template: 0x01c0_000c },
};

/** The key of the first profile that has a certificate; of RSA 2048 (L-1) when there is none. */
export async function endorsementKey(tpm: Tpm, options: EndorsementOptions = {}): Promise<EndorsementKey> {
  const indices = new Set(await listHandles(tpm, 'nvIndex'));
  const profile = ekProfiles.find(({ certificateIndex }) => indices.has(certificateIndex)) ?? ekProfiles[0];
  if (profile === undefined) throw new Error('no EK profile');
  const template = await templateOf(tpm, profile, indices);
  const certificates = await readCertificates(tpm, profile, indices);
  const kept = await findPersistent(tpm, template);
  if (kept !== undefined) return { ...kept, profile, certificates, persistent: true };
  const { auth = {} } = options;
  const made = await createPrimary(tpm, { hierarchy: 'endorsement', template, auth });
  return { ...made, profile, certificates, persistent: false };
}

/** Frees the key, unless it stays in the TPM. */
export async function releaseKey(tpm: Tpm, key: EndorsementKey): Promise<void> {
  if (!key.persistent) await flushContext(tpm, key.handle);
}

/**
 * The secret of a credential that was made for `object` and this endorsement key.
 *
 * @throws TpmError (`refused`) when it was made for another key, or broken on its way.
 */
export async function activate(
  tpm: Tpm,
  credential: Credential,
  keys: { readonly ek: EndorsementKey; readonly object: Entity; readonly auth?: Authorization },
): Promise<Uint8Array> {
  const { ek, object, auth = {} } = keys;
  const entity = { handle: ek.handle, name: ek.name };
  // Keys of the high range also take the empty authorization value.
  if (ek.area.attributes.userWithAuth) {
    return activateCredential(tpm, credential, { object, ek: { ...entity, auth: {} } });
  }
  return withSession(tpm, { kind: 'policy', hash: ek.area.nameAlg }, async (session) => {
    await policySecret(tpm, session, { entity: { handle: tpmHandle.endorsement, auth } });
    return activateCredential(tpm, credential, { object, ek: { ...entity, auth: { session } } });
  });
}

async function templateOf(tpm: Tpm, profile: EkProfile, indices: ReadonlySet<number>): Promise<TpmPublic> {
  const nv = lowRangeNv[profile.id];
  if (nv === undefined) return profile.template;
  if (indices.has(nv.template)) return parsePublicArea(await nvRead(tpm, nv.template));
  if (!indices.has(nv.nonce)) return profile.template;
  const nonce = await nvRead(tpm, nv.nonce);
  const { template } = profile;
  // The nonce takes the first bytes of the field that is zero otherwise.
  if (template.type === 'rsa') return { ...template, modulus: filled(template.modulus, nonce) };
  return template.type === 'ecc' ? { ...template, x: filled(template.x, nonce) } : template;
}

function filled(field: Uint8Array, nonce: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(field);
  bytes.set(nonce.subarray(0, bytes.length));
  return bytes;
}

async function readCertificates(
  tpm: Tpm,
  profile: EkProfile,
  indices: ReadonlySet<number>,
): Promise<Uint8Array[]> {
  if (!indices.has(profile.certificateIndex)) return [];
  const certificates = [trimCertificatePadding(await nvRead(tpm, profile.certificateIndex))];
  const chain = [...indices].filter((index) => index >= ekChainIndices.first && index <= ekChainIndices.last);
  const stored: Uint8Array[] = [];
  for (const index of chain.toSorted((a, b) => a - b)) stored.push(await nvRead(tpm, index));
  // One certificate after the other, without regard to where an index ends.
  let rest: Uint8Array = Buffer.concat(stored);
  while (rest[0] === 0x30) {
    const size = derSize(rest);
    if (size > rest.length) break;
    certificates.push(Uint8Array.from(rest.subarray(0, size)));
    rest = rest.subarray(size);
  }
  return certificates;
}

/** Bytes of the DER element at the start of `bytes`. */
function derSize(bytes: Uint8Array): number {
  const first = bytes[1] ?? 0;
  if (first < 0x80) return 2 + first;
  const digits = bytes.subarray(2, 2 + (first & 0x7f));
  return 2 + digits.length + digits.reduce((size, byte) => size * 256 + byte, 0);
}

async function findPersistent(tpm: Tpm, template: TpmPublic): Promise<LoadedObject | undefined> {
  const wanted = withoutKey(template);
  for (const handle of await listHandles(tpm, 'persistent')) {
    if (handle < persistentKeys.first || handle > persistentKeys.last) continue;
    try {
      const found = await readPublic(tpm, handle);
      if (Buffer.compare(withoutKey(found.area), wanted) === 0) return found;
    } catch (error) {
      // A key of an algorithm that is not read here, or gone meanwhile.
      if (!(error instanceof FormatError) && !isRefusal(error, 'HANDLE')) throw error;
    }
  }
  return undefined;
}

/** What template and key have in common. */
function withoutKey(area: TpmPublic): Uint8Array {
  const none = new Uint8Array();
  if (area.type === 'rsa') return encodePublicArea({ ...area, modulus: none });
  return area.type === 'ecc' ? encodePublicArea({ ...area, x: none, y: none }) : encodePublicArea(area);
}
