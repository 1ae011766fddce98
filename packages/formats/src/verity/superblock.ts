/**
 * The 512 bytes in front of a dm-verity hash tree by which userspace finds its parameters; the kernel never
 * reads them. cryptsetup, lib/verity/verity.c and its wiki page "DMVerity", "Verity superblock format":
 *
 *     0 "verity\0\0" · 8 version u32 = 1 · 12 hash type u32 · 16 UUID[16] · 32 algorithm[32], NUL-padded
 *     64 data block size u32 · 68 hash block size u32 · 72 data blocks u64 · 80 salt size u16 · 82 zero[6]
 *     88 salt[256], zero-padded · 344 zero[168]; all little-endian
 */

import { ByteReader, ByteWriter, equalBytes, FormatError, fromHex, toHex } from '../bytes/index.ts';
import type { VerityHashType } from './geometry.ts';
import { isVerityBlockSize, veritySuperblockSize } from './geometry.ts';
import { uuidText } from './root-hash.ts';

/** Longest salt in bytes. */
export const verityMaxSaltSize = 256;
const algorithmFieldSize = 32;
const signature = new TextEncoder().encode('verity\0\0');

export interface VeritySuperblock {
  readonly hashType: VerityHashType;
  /** Of the hash device, lower-case with hyphens; all zeros when there is none. */
  readonly uuid: string;
  /** Name as in the kernel's crypto API; not checked against what can be computed here. */
  readonly algorithm: string;
  /** Bytes. */
  readonly dataBlockSize: number;
  /** Bytes. */
  readonly hashBlockSize: number;
  readonly dataBlocks: number;
  /** 0 to 256 bytes. */
  readonly salt: Uint8Array;
}

/**
 * Reads a superblock; the bytes are untrusted. Stricter than veritysetup: what is reserved must be zero.
 * @param bytes exactly the 512 bytes.
 * @throws FormatError `not-this-format`, `unsupported` (version, hash type), `malformed`, `truncated`
 */
export function parseVeritySuperblock(bytes: Uint8Array): VeritySuperblock {
  const reader = new ByteReader(bytes);
  if (!equalBytes(reader.bytes(8, 'verity signature'), signature)) {
    throw new FormatError('not-this-format', 'no dm-verity superblock', { offset: 0 });
  }
  const version = reader.u32('version');
  if (version !== 1) {
    throw new FormatError('unsupported', `dm-verity superblock version ${version}`, { offset: 8 });
  }
  const hashType = reader.u32('hash type');
  if (hashType !== 0 && hashType !== 1) {
    throw new FormatError('unsupported', `dm-verity hash type ${hashType}`, { offset: 12 });
  }
  const uuid = uuidText(toHex(reader.bytes(16, 'UUID')));
  const algorithm = parseAlgorithm(reader.bytes(algorithmFieldSize, 'algorithm'));
  const dataBlockSize = parseBlockSize(reader, 'data block size');
  const hashBlockSize = parseBlockSize(reader, 'hash block size');
  const dataBlocks = parseDataBlocks(reader, dataBlockSize);
  const saltSize = reader.u16('salt size');
  if (saltSize > verityMaxSaltSize) {
    throw new FormatError('malformed', `salt of ${saltSize} bytes, at most 256 fit`, { offset: 80 });
  }
  parseZeros(reader, 6, 'padding');
  const salt = Uint8Array.from(reader.bytes(saltSize, 'salt'));
  parseZeros(reader, verityMaxSaltSize - saltSize, 'rest of the salt');
  parseZeros(reader, 168, 'padding');
  reader.end('dm-verity superblock');
  return { hashType, uuid, algorithm, dataBlockSize, hashBlockSize, dataBlocks, salt };
}

/**
 * @returns 512 bytes, the same as veritysetup writes.
 * @throws FormatError `not-encodable` when a field does not fit, `malformed` for a UUID that is none.
 */
export function encodeVeritySuperblock(superblock: VeritySuperblock): Uint8Array<ArrayBuffer> {
  const { uuid, algorithm, dataBlockSize, hashBlockSize, dataBlocks, salt, hashType } = superblock;
  checkVeritySalt(salt);
  if (!isAlgorithmName(algorithm)) {
    throw new FormatError('not-encodable', `${JSON.stringify(algorithm)} is no name of a hash algorithm`);
  }
  if (!isVerityBlockSize(dataBlockSize) || !isVerityBlockSize(hashBlockSize)) {
    throw new FormatError('not-encodable', `block sizes ${dataBlockSize} and ${hashBlockSize} are not legal`);
  }
  if (!Number.isSafeInteger(dataBlocks * dataBlockSize) || !Number.isInteger(dataBlocks) || dataBlocks < 1) {
    throw new FormatError('not-encodable', `${dataBlocks} data blocks are not possible`);
  }
  return new ByteWriter({ capacity: veritySuperblockSize })
    .bytes(signature)
    .u32(1)
    .u32(hashType)
    .bytes(parseUuid(uuid))
    .bytes(new TextEncoder().encode(algorithm.padEnd(algorithmFieldSize, '\0')))
    .u32(dataBlockSize)
    .u32(hashBlockSize)
    .u64(dataBlocks)
    .u16(salt.length)
    .zeros(6)
    .bytes(salt)
    .zeros(verityMaxSaltSize - salt.length + 168)
    .finish();
}

/** @throws FormatError `not-encodable` when the salt does not fit into a superblock. */
export function checkVeritySalt(salt: Uint8Array): void {
  if (salt.length > verityMaxSaltSize) {
    throw new FormatError('not-encodable', `salt of ${salt.length} bytes, at most ${verityMaxSaltSize} fit`);
  }
}

function parseUuid(text: string): Uint8Array {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new FormatError('malformed', `${JSON.stringify(text)} is no UUID`);
  }
  return fromHex(text.replaceAll('-', ''), 'UUID');
}

function isAlgorithmName(name: string): boolean {
  return /^[!-~]{1,31}$/.test(name);
}

function parseAlgorithm(field: Uint8Array): string {
  const end = field.indexOf(0);
  const name = String.fromCharCode(...field.subarray(0, end === -1 ? field.length : end));
  if (!isAlgorithmName(name) || field.subarray(end).some((byte) => byte !== 0)) {
    throw new FormatError('malformed', 'algorithm: not a NUL-padded name', { offset: 32 });
  }
  return name;
}

function parseBlockSize(reader: ByteReader, what: string): number {
  const offset = reader.offset;
  const size = reader.u32(what);
  if (!isVerityBlockSize(size)) {
    throw new FormatError('malformed', `${what} ${size} is not a power of two from 512 to 524288`, {
      offset,
    });
  }
  return size;
}

function parseDataBlocks(reader: ByteReader, blockSize: number): number {
  const offset = reader.offset;
  const count = reader.size64('data blocks');
  if (count < 1 || !Number.isSafeInteger(count * blockSize)) {
    throw new FormatError('malformed', `${count} data blocks are not possible`, { offset });
  }
  return count;
}

function parseZeros(reader: ByteReader, length: number, what: string): void {
  const offset = reader.offset;
  const at = reader.bytes(length, what).findIndex((byte) => byte !== 0);
  if (at !== -1) throw new FormatError('malformed', `${what}: must be zero`, { offset: offset + at });
}
