/**
 * One header block of 512 bytes: ustar (POSIX.1-2017 pax(1)), the older v7 form without magic, and the
 * differences of GNU ("GNU tar manual", appendix "Basic Tar Format").
 */

import { FormatError } from '../bytes/index.ts';
import { blockSize } from './entry.ts';

/** Texts stay views of the block: writers cut what a pax header says in full, even inside a character. */
export interface RawHeader {
  readonly name: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the body as this block says it; a pax header may say otherwise. Bytes. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly flag: string;
  readonly linkName: Uint8Array;
  readonly uname: Uint8Array;
  readonly gname: Uint8Array;
  readonly major: number;
  readonly minor: number;
}

const zero = 0x30;
const space = 0x20;
const slash = Uint8Array.of(0x2f);
const none = new Uint8Array();

/** @param block exactly 512 bytes. @param base of the block in the stream, for error offsets. */
export function parseHeaderBlock(block: Uint8Array, base: number): RawHeader {
  verifyChecksum(block, base);
  const field = (start: number, length: number): Uint8Array => block.subarray(start, start + length);
  const size = (start: number, length: number, what: string): number => {
    const value = parseNumber(field(start, length), what, base + start);
    if (value < 0) throw new FormatError('malformed', `${what}: ${value}`, { offset: base + start });
    return value;
  };
  const text = (start: number, length: number): Uint8Array => untilNul(field(start, length));
  // 'ustar\0' is POSIX, 'ustar ' old GNU, which has other things where POSIX has the name's prefix.
  const magic = latin1(field(257, 6));
  const posix = magic === 'ustar\0';
  const known = posix || magic === 'ustar ';
  // star marks its blocks and keeps two times behind a shorter prefix.
  const prefixSize = latin1(field(508, 4)) === 'tar\0' ? 131 : 155;
  const prefix = posix ? text(345, prefixSize) : none;
  const name = text(0, 100);
  return {
    name: prefix.length === 0 ? name : Buffer.concat([prefix, slash, name]),
    mode: size(100, 8, 'mode') & 0o7777,
    uid: size(108, 8, 'uid'),
    gid: size(116, 8, 'gid'),
    size: size(124, 12, 'size'),
    mtime: parseNumber(field(136, 12), 'mtime', base + 136),
    flag: String.fromCharCode(block[156] ?? 0),
    linkName: text(157, 100),
    uname: known ? text(265, 32) : none,
    gname: known ? text(297, 32) : none,
    major: known ? size(329, 8, 'device major') : 0,
    minor: known ? size(337, 8, 'device minor') : 0,
  };
}

/** The bytes before the first NUL, or all of them. */
export function untilNul(field: Uint8Array): Uint8Array {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

export function isZeroBlock(block: Uint8Array): boolean {
  for (let i = 0; i < blockSize; i += 1) if (block[i] !== 0) return false;
  return true;
}

/** Sum over the block with the checksum field taken for spaces. */
export function headerSum(block: Uint8Array): { readonly unsigned: number; readonly signed: number } {
  let unsigned = 8 * space;
  let high = 0;
  for (let i = 0; i < blockSize; i += 1) {
    if (i === 148) i = 156;
    const byte = block[i] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  return { unsigned, signed: unsigned - high * 256 };
}

function verifyChecksum(block: Uint8Array, base: number): void {
  const { unsigned, signed } = headerSum(block);
  let stored: number | undefined;
  try {
    stored = parseNumber(block.subarray(148, 156), 'checksum', base + 148);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  // Old Sun and GNU archives summed signed bytes; readers accept both.
  if (stored === unsigned || stored === signed) return;
  throw new FormatError(
    base === 0 ? 'not-this-format' : 'checksum',
    `header checksum is ${stored ?? 'no number'}, computed ${unsigned}`,
    { offset: base + 148 },
  );
}

/**
 * Octal digits between spaces and a NUL or space, or GNU's base 256: a set top bit, then a big-endian two's
 * complement number. An empty field is 0, as v7 archives leave them.
 */
export function parseNumber(field: Uint8Array, what: string, offset: number): number {
  const first = field[0] ?? 0;
  if (first >= 0x80) return parseBase256(field, what, offset);
  let at = 0;
  while (at < field.length && field[at] === space) at += 1;
  let value = 0;
  for (; at < field.length; at += 1) {
    const digit = (field[at] ?? 0) - zero;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; at < field.length; at += 1) {
    const byte = field[at] ?? 0;
    // After the NUL old writers leave whatever was in the buffer.
    if (byte === 0) break;
    if (byte !== space) {
      throw new FormatError('malformed', `${what}: ${JSON.stringify(latin1(field))} is not octal`, {
        offset,
      });
    }
  }
  return value;
}

function parseBase256(field: Uint8Array, what: string, offset: number): number {
  const negative = (field[0] ?? 0) === 0xff;
  let value = negative ? -1n : BigInt((field[0] ?? 0) & 0x7f);
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte);
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new FormatError('malformed', `${what}: ${value} is larger than any real one`, { offset });
  }
  return Number(value);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
