/**
 * Credentials that only one TPM can open, made without a TPM (TPM 2.0 Library Part 1, section 24; Part 3, section
 * 12.6): a secret for the key with a given Name, wrapped so that the TPM that holds the endorsement key releases it
 * only if it also holds that key.
 */

import { createCipheriv, createDecipheriv, createECDH, createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';
import { curveSizes, hashSizes } from './algorithms.ts';
import type { TpmCurve } from './algorithms.ts';
import { kdfa, kdfe } from './kdf.ts';
import { oaepDecrypt, oaepEncrypt } from './oaep.ts';
import type { TpmEccPublic, TpmPublic, TpmRsaPublic, TpmSymmetric } from './public-area.ts';
import { eccPoint, publicKeyOf } from './public-key.ts';
import { leftPad, readSized, readWhole, sized, tpmWriter } from './wire.ts';

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
const nodeCurves: Readonly<Record<TpmCurve, string>> = { p256: 'prime256v1', p384: 'secp384r1' };

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
  const { seed, encrypted } = ek.type === 'rsa' ? rsaSeed(ek, random) : eccSeed(ek, random);
  const identity = cipher(ek, { seed, name }, { encrypt: sized(secret) });
  const integrity = sized(integrityOf(ek, { seed, name, identity }));
  return { credential: sized(Buffer.concat([integrity, identity])), secret: sized(encrypted) };
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
  const encrypted = readWhole(credential.secret, 'secret', (reader) => readSized(reader, 'secret', 512));
  const seed = openSeed(ek, privateKey, encrypted);
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

interface Seed {
  readonly seed: Uint8Array;
  readonly encrypted: Uint8Array;
}

/** Part 1, section B.10.4. */
function rsaSeed(ek: TpmRsaPublic, random: CredentialRequest['random']): Seed {
  const seed = random(hashSizes[ek.nameAlg]);
  const options = { hash: ek.nameAlg, label, seed: random(hashSizes[ek.nameAlg]) };
  return { seed, encrypted: oaepEncrypt(publicKeyOf(ek), seed, options) };
}

/** Part 1, section C.6.4: the x coordinate shared with an ephemeral key. */
function eccSeed(ek: TpmEccPublic, random: CredentialRequest['random']): Seed {
  // Refuses a point that is not on the curve.
  publicKeyOf(ek);
  const size = curveSizes[ek.curve];
  const ecdh = createECDH(nodeCurves[ek.curve]);
  setPrivateKey(ecdh, () => random(size));
  const z = ecdh.computeSecret(eccPoint(ek));
  const ephemeral = ecdh.getPublicKey();
  const x = ephemeral.subarray(1, 1 + size);
  const y = ephemeral.subarray(1 + size);
  const seed = eccShared(ek, z, x);
  return { seed, encrypted: tpmWriter().bytes(sized(x)).bytes(sized(y)).finish() };
}

function eccShared(ek: TpmEccPublic, z: Uint8Array, ephemeralX: Uint8Array): Uint8Array {
  const size = curveSizes[ek.curve];
  return kdfe(
    {
      hash: ek.nameAlg,
      z: leftPad(z, size),
      label,
      partyU: leftPad(ephemeralX, size),
      partyV: leftPad(ek.x, size),
    },
    hashSizes[ek.nameAlg] * 8,
  );
}

function setPrivateKey(ecdh: ReturnType<typeof createECDH>, next: () => Uint8Array): void {
  // A random number is no private key with a probability below 2^-32; a source that repeats itself must not hang this.
  for (let attempt = 0; attempt < 8; attempt += 1) {
    try {
      ecdh.setPrivateKey(next());
      return;
    } catch {
      // Zero, or not below the order of the curve.
    }
  }
  throw new FormatError('not-encodable', 'the random source gives no private key');
}

function openSeed(ek: StorageKey, key: KeyObject, encrypted: Uint8Array): Uint8Array | undefined {
  if (ek.type === 'rsa') return oaepDecrypt(key, encrypted, { hash: ek.nameAlg, label });
  const { x, y } = readWhole(encrypted, 'ephemeral point', (reader) => ({
    x: readSized(reader, 'x coordinate', curveSizes[ek.curve]),
    y: readSized(reader, 'y coordinate', curveSizes[ek.curve]),
  }));
  const ecdh = createECDH(nodeCurves[ek.curve]);
  ecdh.setPrivateKey(Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url'));
  try {
    return eccShared(ek, ecdh.computeSecret(eccPoint({ ...ek, x, y })), x);
  } catch {
    return undefined;
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
