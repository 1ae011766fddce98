/**
 * TPMT_PUBLIC and TPM2B_PUBLIC: the public area of a key or sealed object (TPM 2.0 Library Part 2, section 12.2).
 * Asymmetric keys are RSA of 2048, 3072 or 4096 bits and ECC on P-256 or P-384; sealed data is a keyed hash object.
 */

import type { ByteReader, ByteWriter } from '../bytes/index.ts';
import { FormatError } from '../bytes/index.ts';
import { curveIds, curveOfId, curveSizes, hashIds, hashOfId, hashSizes, tpmAlg } from './algorithms.ts';
import type { TpmCurve, TpmHash } from './algorithms.ts';
import type { ObjectAttributes } from './attributes.ts';
import { encodeObjectAttributes, parseObjectAttributes } from './attributes.ts';
import { largestStructure, readSized, readWhole, sized, tpmWriter } from './wire.ts';

/** TPMT_SYM_DEF_OBJECT (section 11.1.7): how a storage key protects its children. Only AES in CFB mode. */
export interface TpmSymmetric {
  readonly algorithm: 'aes';
  readonly keyBits: 128 | 192 | 256;
  readonly mode: 'cfb';
}

export type TpmRsaScheme = 'rsassa' | 'rsapss' | 'oaep';
export type TpmEccScheme = 'ecdsa' | 'ecdh';

/** TPMT_RSA_SCHEME and TPMT_ECC_SCHEME (sections 11.2.4.2 and 11.2.5.6): the one scheme the key is bound to. */
export interface TpmScheme<Name extends string> {
  readonly name: Name;
  readonly hash: TpmHash;
}

interface PublicCommon {
  /** The hash of the object's Name. */
  readonly nameAlg: TpmHash;
  readonly attributes: ObjectAttributes;
  /** Empty, or a digest of `nameAlg`. */
  readonly authPolicy: Uint8Array;
}

export interface TpmRsaPublic extends PublicCommon {
  readonly type: 'rsa';
  readonly symmetric: TpmSymmetric | null;
  /** Null when every signature and decryption names its own scheme. */
  readonly scheme: TpmScheme<TpmRsaScheme> | null;
  readonly keyBits: 2048 | 3072 | 4096;
  /** As it is stored: 0 stands for 65537. The Name covers the stored value. */
  readonly exponent: 0 | 65537;
  /** Big-endian; in a template any length up to that of the key. */
  readonly modulus: Uint8Array;
}

export interface TpmEccPublic extends PublicCommon {
  readonly type: 'ecc';
  readonly symmetric: TpmSymmetric | null;
  readonly scheme: TpmScheme<TpmEccScheme> | null;
  readonly curve: TpmCurve;
  /** Big-endian, up to the size of the curve; in a template often empty. */
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** A sealed object, or a key for HMAC. */
export interface TpmKeyedHashPublic extends PublicCommon {
  readonly type: 'keyedhash';
  readonly hmac: TpmHash | null;
  /** Empty in a template, a digest of `nameAlg` in an object. */
  readonly unique: Uint8Array;
}

export type TpmPublic = TpmRsaPublic | TpmEccPublic | TpmKeyedHashPublic;

/** A TPMT_PUBLIC. @throws FormatError unless `bytes` is exactly one. */
export function parsePublicArea(bytes: Uint8Array): TpmPublic {
  return readWhole(bytes, 'public area', readPublicArea);
}

/** A TPM2B_PUBLIC: the same with its size in front. @throws FormatError unless `bytes` is exactly one. */
export function parseSizedPublicArea(bytes: Uint8Array): TpmPublic {
  return readWhole(bytes, 'sized public area', readSizedPublicArea);
}

export function readSizedPublicArea(reader: ByteReader): TpmPublic {
  return parsePublicArea(readSized(reader, 'public area', largestStructure));
}

export function readPublicArea(reader: ByteReader): TpmPublic {
  const typeAt = reader.offset;
  const type = reader.u16('object type');
  const nameAlg = hashOfId(reader.u16('name algorithm'), reader.offset - 2);
  const attributes = parseObjectAttributes(reader.u32('object attributes'), reader.offset - 4);
  const policyAt = reader.offset;
  const authPolicy = readSized(reader, 'authorization policy', 64);
  if (authPolicy.length !== 0 && authPolicy.length !== hashSizes[nameAlg]) {
    throw new FormatError(
      'malformed',
      `authorization policy of ${authPolicy.length} bytes with name algorithm ${nameAlg}`,
      { offset: policyAt },
    );
  }
  const common = { nameAlg, attributes, authPolicy };
  if (type === tpmAlg.rsa) return { type: 'rsa', ...common, ...readRsa(reader) };
  if (type === tpmAlg.ecc) return { type: 'ecc', ...common, ...readEcc(reader) };
  if (type === tpmAlg.keyedhash) return { type: 'keyedhash', ...common, ...readKeyedHash(reader) };
  throw new FormatError('unsupported', `object type 0x${type.toString(16)}`, { offset: typeAt });
}

function readSymmetric(reader: ByteReader): TpmSymmetric | null {
  const at = reader.offset;
  const algorithm = reader.u16('symmetric algorithm');
  if (algorithm === tpmAlg.null) return null;
  const keyBits = reader.u16('symmetric key bits');
  const mode = reader.u16('symmetric mode');
  const legalBits = keyBits === 128 || keyBits === 192 || keyBits === 256;
  if (algorithm !== tpmAlg.aes || !legalBits || mode !== tpmAlg.cfb) {
    throw new FormatError(
      'unsupported',
      `symmetric algorithm 0x${algorithm.toString(16)}, ${keyBits} bits, mode 0x${mode.toString(16)}`,
      { offset: at },
    );
  }
  return { algorithm: 'aes', keyBits, mode: 'cfb' };
}

const rsaSchemes = new Map<number, TpmRsaScheme>([
  [tpmAlg.rsassa, 'rsassa'],
  [tpmAlg.rsapss, 'rsapss'],
  [tpmAlg.oaep, 'oaep'],
]);
const eccSchemes = new Map<number, TpmEccScheme>([
  [tpmAlg.ecdsa, 'ecdsa'],
  [tpmAlg.ecdh, 'ecdh'],
]);

function readScheme<Name extends string>(
  reader: ByteReader,
  names: ReadonlyMap<number, Name>,
): TpmScheme<Name> | null {
  const at = reader.offset;
  const id = reader.u16('scheme');
  if (id === tpmAlg.null) return null;
  const name = names.get(id);
  if (name === undefined) {
    throw new FormatError('unsupported', `scheme 0x${id.toString(16)}`, { offset: at });
  }
  return { name, hash: hashOfId(reader.u16('hash of the scheme'), reader.offset - 2) };
}

function readRsa(reader: ByteReader): Omit<TpmRsaPublic, 'type' | keyof PublicCommon> {
  const symmetric = readSymmetric(reader);
  const scheme = readScheme(reader, rsaSchemes);
  const at = reader.offset;
  const keyBits = reader.u16('RSA key bits');
  const exponent = reader.u32('RSA exponent');
  if (keyBits !== 2048 && keyBits !== 3072 && keyBits !== 4096) {
    throw new FormatError('unsupported', `RSA key of ${keyBits} bits`, { offset: at });
  }
  if (exponent !== 0 && exponent !== 65537) {
    throw new FormatError('unsupported', `RSA exponent ${exponent}`, { offset: at + 2 });
  }
  return { symmetric, scheme, keyBits, exponent, modulus: readSized(reader, 'RSA modulus', keyBits / 8) };
}

function readEcc(reader: ByteReader): Omit<TpmEccPublic, 'type' | keyof PublicCommon> {
  const symmetric = readSymmetric(reader);
  const scheme = readScheme(reader, eccSchemes);
  const curve = curveOfId(reader.u16('curve'), reader.offset - 2);
  const kdf = reader.u16('key derivation');
  if (kdf !== tpmAlg.null) {
    throw new FormatError('unsupported', `key derivation 0x${kdf.toString(16)} of an ECC key`, {
      offset: reader.offset - 2,
    });
  }
  const x = readSized(reader, 'x coordinate', curveSizes[curve]);
  return { symmetric, scheme, curve, x, y: readSized(reader, 'y coordinate', curveSizes[curve]) };
}

function readKeyedHash(reader: ByteReader): Omit<TpmKeyedHashPublic, 'type' | keyof PublicCommon> {
  const at = reader.offset;
  const scheme = reader.u16('scheme');
  if (scheme !== tpmAlg.null && scheme !== tpmAlg.hmac) {
    throw new FormatError('unsupported', `keyed hash scheme 0x${scheme.toString(16)}`, { offset: at });
  }
  const hmac = scheme === tpmAlg.null ? null : hashOfId(reader.u16('hash of the HMAC'), reader.offset - 2);
  return { hmac, unique: readSized(reader, 'unique', 64) };
}

/** A TPMT_PUBLIC. */
export function encodePublicArea(area: TpmPublic): Uint8Array {
  const writer = tpmWriter()
    .u16(tpmAlg[area.type])
    .u16(hashIds[area.nameAlg])
    .u32(encodeObjectAttributes(area.attributes))
    .bytes(sized(area.authPolicy));
  if (area.type === 'keyedhash') {
    if (area.hmac === null) writer.u16(tpmAlg.null);
    else writer.u16(tpmAlg.hmac).u16(hashIds[area.hmac]);
    return writer.bytes(sized(area.unique)).finish();
  }
  writeSymmetric(writer, area.symmetric);
  if (area.scheme === null) writer.u16(tpmAlg.null);
  else writer.u16(tpmAlg[area.scheme.name]).u16(hashIds[area.scheme.hash]);
  if (area.type === 'rsa') {
    return writer.u16(area.keyBits).u32(area.exponent).bytes(sized(area.modulus)).finish();
  }
  writer.u16(curveIds[area.curve]).u16(tpmAlg.null);
  return writer.bytes(sized(area.x)).bytes(sized(area.y)).finish();
}

function writeSymmetric(writer: ByteWriter, symmetric: TpmSymmetric | null): void {
  if (symmetric === null) writer.u16(tpmAlg.null);
  else writer.u16(tpmAlg.aes).u16(symmetric.keyBits).u16(tpmAlg.cfb);
}

/** A TPM2B_PUBLIC. */
export function encodeSizedPublicArea(area: TpmPublic): Uint8Array {
  return sized(encodePublicArea(area));
}
