/**
 * Credentials that only one TPM can open, made without a TPM (TPM 2.0 Library Part 1, section 24; Part 3, section
 * 12.6): a secret for the key with a given Name, wrapped so that the TPM that holds the endorsement key releases it
 * only if it also holds that key.
 */

import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';
import { hashSizes } from './algorithms.ts';
import { kdfa } from './kdf.ts';
import type { TpmEccPublic, TpmPublic, TpmRsaPublic, TpmSymmetric } from './public-area.ts';
import { unwrapSecret, wrapSecret } from './secret-exchange.ts';
import { readSized, readWhole, sized } from './wire.ts';

export interface CredentialRequest {
  /** Name of the key that must lie in the same TPM. */
  readonly name: Uint8Array;
  /** What the TPM gives back: at most as long as a digest of the endorsement key's name algorithm. */
  readonly secret: Uint8Array;
  /** A source of secret random bytes. */
  readonly random: (size: number) => Uint8Array;
}

export interface Credential {
  /** TPM2B_ID_OBJECT (Part 2, section 12.4.3), with its size. */
  readonly credential: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET (Part 2, section 11.4.3), with its size. */
  readonly secret: Uint8Array;
}

const label = 'IDENTITY';

type StorageKey = (TpmRsaPublic | TpmEccPublic) & { readonly symmetric: TpmSymmetric };

/**
 * MakeCredential for an endorsement key with RSA or ECC.
 *
 * @throws FormatError: `unsupported` when `ek` is not a restricted decryption key, `malformed` when it holds no valid
 * public key, `not-encodable` when the secret is empty or too long.
 */
export function makeCredential(ek: TpmPublic, request: CredentialRequest): Credential {
  assertStorageKey(ek);
  const { name, secret, random } = request;
  if (secret.length === 0 || secret.length > hashSizes[ek.nameAlg]) {
    throw new FormatError('not-encodable', `credential secret of ${secret.length} bytes`);
  }
  const { secret: seed, encrypted } = wrapSecret(ek, { label, random });
  const identity = cipher(ek, { seed, name }, { encrypt: sized(secret) });
  const integrity = sized(integrityOf(ek, { seed, name, identity }));
  return { credential: sized(Buffer.concat([integrity, identity])), secret: encrypted };
}

/**
 * What the TPM does in ActivateCredential, for software that stands in for one. Undefined when the credential was not
 * made for this key and Name.
 *
 * @throws FormatError when the structures are broken.
 */
export function openCredential(
  credential: Credential,
  options: { readonly ek: TpmPublic; readonly privateKey: KeyObject; readonly name: Uint8Array },
): Uint8Array | undefined {
  const { ek, privateKey, name } = options;
  assertStorageKey(ek);
  const { integrity, identity } = readWhole(credential.credential, 'credential', (outer) =>
    readWhole(readSized(outer, 'credential', 256), 'credential', (inner) => ({
      integrity: readSized(inner, 'integrity', 64),
      identity: inner.rest(),
    })),
  );
  const seed = unwrapSecret(credential.secret, { area: ek, privateKey, label });
  if (seed === undefined) return undefined;
  const expected = integrityOf(ek, { seed, name, identity });
  if (integrity.length !== expected.length || !timingSafeEqual(integrity, expected)) return undefined;
  const plain = cipher(ek, { seed, name }, { decrypt: identity });
  return readWhole(plain, 'credential secret', (reader) => readSized(reader, 'credential secret', 64));
}

function assertStorageKey(area: TpmPublic): asserts area is StorageKey {
  const { restricted, decrypt, sign } = area.attributes;
  if (area.type === 'keyedhash' || area.symmetric === null || !restricted || !decrypt || sign) {
    throw new FormatError('unsupported', 'only a restricted decryption key can receive a credential');
  }
}

/** AES in CFB mode with a zero vector under a key from the seed (Part 1, section 24.4). */
function cipher(
  ek: StorageKey,
  { seed, name }: { readonly seed: Uint8Array; readonly name: Uint8Array },
  data: { readonly encrypt: Uint8Array } | { readonly decrypt: Uint8Array },
): Uint8Array {
  const { keyBits } = ek.symmetric;
  const key = kdfa({ hash: ek.nameAlg, key: seed, label: 'STORAGE', contextU: name }, keyBits);
  const algorithm = `aes-${keyBits}-cfb`;
  const vector = new Uint8Array(16);
  return 'encrypt' in data
    ? createCipheriv(algorithm, key, vector).update(data.encrypt)
    : createDecipheriv(algorithm, key, vector).update(data.decrypt);
}

function integrityOf(
  ek: StorageKey,
  parts: { readonly seed: Uint8Array; readonly name: Uint8Array; readonly identity: Uint8Array },
): Uint8Array {
  const bits = hashSizes[ek.nameAlg] * 8;
  const key = kdfa({ hash: ek.nameAlg, key: parts.seed, label: 'INTEGRITY' }, bits);
  return createHmac(ek.nameAlg, key).update(parts.identity).update(parts.name).digest();
}
