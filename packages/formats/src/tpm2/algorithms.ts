/** Algorithm and curve identifiers (TCG Algorithm Registry; TPM 2.0 Library Part 2, sections 6.3 and 6.4). */

import { createHash } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';

export type TpmHash = 'sha1' | 'sha256' | 'sha384' | 'sha512';
export type TpmCurve = 'p256' | 'p384';

/** TPM_ALG_ID values. */
export const tpmAlg = {
  rsa: 0x0001,
  sha1: 0x0004,
  hmac: 0x0005,
  aes: 0x0006,
  keyedhash: 0x0008,
  xor: 0x000a,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  null: 0x0010,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  kdf1Sp80056a: 0x0020,
  kdf1Sp800108: 0x0022,
  ecc: 0x0023,
  symcipher: 0x0025,
  cfb: 0x0043,
} as const;

/** TPM_ALG_ID of the hash algorithms. */
export const hashIds: Readonly<Record<TpmHash, number>> = {
  sha1: tpmAlg.sha1,
  sha256: tpmAlg.sha256,
  sha384: tpmAlg.sha384,
  sha512: tpmAlg.sha512,
};

/** Bytes of a digest. */
export const hashSizes: Readonly<Record<TpmHash, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

/** TPM_ECC_CURVE values. */
export const curveIds: Readonly<Record<TpmCurve, number>> = { p256: 0x0003, p384: 0x0004 };

/** Bytes of a coordinate. */
export const curveSizes: Readonly<Record<TpmCurve, number>> = { p256: 32, p384: 48 };

const hashes: ReadonlyMap<number, TpmHash> = new Map([
  [tpmAlg.sha1, 'sha1'],
  [tpmAlg.sha256, 'sha256'],
  [tpmAlg.sha384, 'sha384'],
  [tpmAlg.sha512, 'sha512'],
]);
const curves = ['p256', 'p384'] as const;

export function isTpmHash(name: string): name is TpmHash {
  return Object.hasOwn(hashIds, name);
}

/** @throws FormatError (`unsupported`) for any other algorithm. */
export function hashOfId(id: number, offset: number): TpmHash {
  const name = hashes.get(id);
  if (name !== undefined) return name;
  throw new FormatError('unsupported', `algorithm 0x${id.toString(16)} is not a hash read here`, { offset });
}

/** @throws FormatError (`unsupported`) for any other curve. */
export function curveOfId(id: number, offset: number): TpmCurve {
  const name = curves.find((curve) => curveIds[curve] === id);
  if (name !== undefined) return name;
  throw new FormatError('unsupported', `elliptic curve 0x${id.toString(16)} is not read here`, { offset });
}

export function digestWith(hash: TpmHash, ...parts: readonly Uint8Array[]): Uint8Array {
  const state = createHash(hash);
  for (const part of parts) state.update(part);
  return new Uint8Array(state.digest());
}
