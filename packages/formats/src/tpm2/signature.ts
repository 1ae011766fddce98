/** TPMT_SIGNATURE (TPM 2.0 Library Part 2, section 11.3.4) and its verification outside a TPM. */

import { constants, verify } from 'node:crypto';
import type { ByteReader } from '../bytes/index.ts';
import { FormatError } from '../bytes/index.ts';
import { derInteger, derSequence } from '../der/index.ts';
import { curveSizes, hashIds, hashOfId, tpmAlg } from './algorithms.ts';
import type { TpmHash } from './algorithms.ts';
import type { TpmPublic } from './public-area.ts';
import { publicKeyOf } from './public-key.ts';
import { readSized, readWhole, sized, tpmWriter } from './wire.ts';

export interface TpmRsaSignature {
  readonly scheme: 'rsassa' | 'rsapss';
  readonly hash: TpmHash;
  /** As long as the modulus. */
  readonly signature: Uint8Array;
}

export interface TpmEcdsaSignature {
  readonly scheme: 'ecdsa';
  readonly hash: TpmHash;
  /** Big-endian, at most as long as a coordinate. */
  readonly r: Uint8Array;
  readonly s: Uint8Array;
}

export type TpmSignature = TpmRsaSignature | TpmEcdsaSignature;

/** @throws FormatError unless `bytes` is exactly one RSASSA, RSAPSS or ECDSA signature. */
export function parseTpmSignature(bytes: Uint8Array): TpmSignature {
  return readWhole(bytes, 'signature', readTpmSignature);
}

export function readTpmSignature(reader: ByteReader): TpmSignature {
  const at = reader.offset;
  const id = reader.u16('signature scheme');
  if (id !== tpmAlg.rsassa && id !== tpmAlg.rsapss && id !== tpmAlg.ecdsa) {
    throw new FormatError('unsupported', `signature scheme 0x${id.toString(16)}`, { offset: at });
  }
  const hash = hashOfId(reader.u16('hash of the signature'), reader.offset - 2);
  if (id === tpmAlg.ecdsa) {
    const r = readSized(reader, 'r', curveSizes.p384);
    return { scheme: 'ecdsa', hash, r, s: readSized(reader, 's', curveSizes.p384) };
  }
  const scheme = id === tpmAlg.rsassa ? 'rsassa' : 'rsapss';
  return { scheme, hash, signature: readSized(reader, 'RSA signature', 512) };
}

export function encodeTpmSignature(signature: TpmSignature): Uint8Array {
  const writer = tpmWriter().u16(tpmAlg[signature.scheme]).u16(hashIds[signature.hash]);
  if (signature.scheme !== 'ecdsa') return writer.bytes(sized(signature.signature)).finish();
  return writer.bytes(sized(signature.r)).bytes(sized(signature.s)).finish();
}

/**
 * Whether `signature` over `message` was made by the key of `area`. A key that is bound to a scheme or hash is held
 * to it. SHA-1 signatures never verify.
 *
 * @throws FormatError (`malformed`) when `area` holds no usable public key.
 */
export function verifyTpmSignature(area: TpmPublic, signature: TpmSignature, message: Uint8Array): boolean {
  if (area.type === 'keyedhash' || signature.hash === 'sha1') return false;
  const { scheme } = area;
  if (scheme !== null && (scheme.name !== signature.scheme || scheme.hash !== signature.hash)) return false;
  const key = publicKeyOf(area);
  if (signature.scheme === 'ecdsa') {
    if (area.type !== 'ecc') return false;
    const size = curveSizes[area.curve];
    if (signature.r.length > size || signature.s.length > size) return false;
    // DER and the key itself instead of { key, dsaEncoding }: two thirds of the time, measured.
    return verify(
      signature.hash,
      message,
      key,
      derSequence(derInteger(signature.r), derInteger(signature.s)),
    );
  }
  if (area.type !== 'rsa' || signature.signature.length !== area.keyBits / 8) return false;
  const padding =
    signature.scheme === 'rsassa'
      ? { padding: constants.RSA_PKCS1_PADDING }
      : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
  return verify(signature.hash, message, { key, ...padding }, signature.signature);
}
