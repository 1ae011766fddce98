/** Between public areas and SubjectPublicKeyInfo (RFC 3279 section 2.3, RFC 5480), the form certificates have. */

import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';
import { derBitString, derInteger, derNull, derOid, derSequence } from '../der/index.ts';
import { curveSizes } from './algorithms.ts';
import type { TpmCurve } from './algorithms.ts';
import type { TpmEccPublic, TpmPublic, TpmRsaPublic } from './public-area.ts';
import { leftPad } from './wire.ts';

const rsaEncryption = '1.2.840.113549.1.1.1';
const ecPublicKey = '1.2.840.10045.2.1';
const curveOids: Readonly<Record<TpmCurve, string>> = { p256: '1.2.840.10045.3.1.7', p384: '1.3.132.0.34' };

/** Everything before the coordinates, which always have the size of the curve. */
const eccHeads: Readonly<Record<TpmCurve, Uint8Array>> = { p256: eccHead('p256'), p384: eccHead('p384') };

function eccHead(curve: TpmCurve): Uint8Array {
  const algorithm = derSequence(derOid(ecPublicKey), derOid(curveOids[curve]));
  const coordinates = 2 * curveSizes[curve];
  const point = new Uint8Array(1 + coordinates);
  point[0] = 4;
  return derSequence(algorithm, derBitString(point)).subarray(0, -coordinates);
}

/** SubjectPublicKeyInfo, DER. @throws FormatError (`malformed`) when the area holds no public key. */
export function publicAreaSpki(area: TpmPublic): Uint8Array {
  if (area.type === 'rsa') {
    if (area.modulus.length !== area.keyBits / 8 || (area.modulus[0] ?? 0) < 0x80) {
      throw new FormatError('malformed', `the RSA modulus is not one of ${area.keyBits} bits`);
    }
    const exponent = Uint8Array.of(1, 0, 1);
    const key = derSequence(derInteger(area.modulus), derInteger(exponent));
    return derSequence(derSequence(derOid(rsaEncryption), derNull()), derBitString(key));
  }
  if (area.type === 'ecc') {
    return Buffer.concat([eccHeads[area.curve], eccPoint(area).subarray(1)]);
  }
  throw new FormatError('malformed', 'a keyed hash object has no public key');
}

/** 0x04 ‖ x ‖ y (SEC 1 section 2.3.3). */
export function eccPoint(area: TpmEccPublic): Uint8Array {
  if (area.x.length === 0 || area.y.length === 0) {
    throw new FormatError('malformed', 'the ECC point is empty: this is a template');
  }
  const size = curveSizes[area.curve];
  return Buffer.concat([Uint8Array.of(4), leftPad(area.x, size), leftPad(area.y, size)]);
}

const imported = new WeakMap<TpmPublic, KeyObject>();

/** @throws FormatError (`malformed`) when it is no key, for example because the point is not on its curve. */
export function publicKeyOf(area: TpmPublic): KeyObject {
  const known = imported.get(area);
  if (known !== undefined) return known;
  const body = Buffer.from(publicAreaSpki(area)).toString('base64');
  try {
    // Text instead of { key, format }: Node takes more than twice as long to see that an object is no key, measured.
    const key = createPublicKey(`-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----\n`);
    imported.set(area, key);
    return key;
  } catch (cause) {
    throw new FormatError('malformed', 'the public area holds no valid public key', { cause });
  }
}

export type TpmKeyFields =
  | Pick<TpmRsaPublic, 'type' | 'keyBits' | 'exponent' | 'modulus'>
  | Pick<TpmEccPublic, 'type' | 'curve' | 'x' | 'y'>;

const curvesOfNode: Readonly<Record<string, TpmCurve>> = { 'P-256': 'p256', 'P-384': 'p384' };

/**
 * The fields of a public area that hold the key itself; the other fields are the caller's to choose.
 *
 * @throws FormatError (`unsupported`) for other keys than RSA 2048, 3072, 4096 (exponent 65537), P-256 and P-384.
 */
export function keyFieldsOf(key: KeyObject): TpmKeyFields {
  const jwk = key.export({ format: 'jwk' });
  if (jwk.kty === 'EC' && jwk.x !== undefined && jwk.y !== undefined) {
    const curve = curvesOfNode[jwk.crv ?? ''];
    if (curve !== undefined) return { type: 'ecc', curve, x: fromBase64Url(jwk.x), y: fromBase64Url(jwk.y) };
  }
  if (jwk.kty === 'RSA' && jwk.n !== undefined && jwk.e === 'AQAB') {
    const modulus = fromBase64Url(jwk.n);
    const keyBits = modulus.length * 8;
    if (keyBits === 2048 || keyBits === 3072 || keyBits === 4096) {
      return { type: 'rsa', keyBits, exponent: 65537, modulus };
    }
  }
  throw new FormatError('unsupported', `public key of type ${key.asymmetricKeyType ?? 'unknown'}`);
}

function fromBase64Url(text: string): Uint8Array {
  return Buffer.from(text, 'base64url');
}
