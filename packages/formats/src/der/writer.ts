/** DER encoding (X.690 section 10): small functions that return complete elements. */

import { FormatError } from '../bytes/index.ts';
import { derTag } from './tags.ts';

export function derElement(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = Buffer.concat(parts);
  return new Uint8Array(Buffer.concat([Uint8Array.of(tag), encodeLength(content.length), content]));
}

export function derSequence(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return derElement(derTag.sequence, ...parts);
}

/** SET OF: members in the ascending order of their encodings (X.690 section 11.6). */
export function derSetOf(...members: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return derElement(derTag.set, ...members.toSorted((a, b) => Buffer.compare(a, b)));
}

/** A constructed context-specific element, `[number] EXPLICIT` or an implicit SEQUENCE/SET. */
export function derContext(number: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return derElement(0xa0 | number, ...parts);
}

/** From a small non-negative number, or from unsigned big-endian bytes such as a serial number. */
export function derInteger(value: number | Uint8Array): Uint8Array<ArrayBuffer> {
  const magnitude = typeof value === 'number' ? bigEndian(value) : value;
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const minimal = magnitude.subarray(start);
  const sign = (minimal[0] ?? 0) >= 0x80 || minimal.length === 0 ? Uint8Array.of(0) : new Uint8Array();
  return derElement(derTag.integer, sign, minimal);
}

export function derBoolean(value: boolean): Uint8Array<ArrayBuffer> {
  return derElement(derTag.boolean, Uint8Array.of(value ? 0xff : 0));
}

export function derNull(): Uint8Array<ArrayBuffer> {
  return derElement(derTag.null);
}

export function derOctetString(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return derElement(derTag.octetString, ...parts);
}

/** `unused` low bits of the last octet do not belong to the string (0 for keys and signatures). */
export function derBitString(bytes: Uint8Array, unused = 0): Uint8Array<ArrayBuffer> {
  return derElement(derTag.bitString, Uint8Array.of(unused), bytes);
}

export function derUtf8String(text: string): Uint8Array<ArrayBuffer> {
  return derElement(derTag.utf8String, Buffer.from(text, 'utf8'));
}

export function derPrintableString(text: string): Uint8Array<ArrayBuffer> {
  return derElement(derTag.printableString, Buffer.from(text, 'ascii'));
}

export function derOid(dotted: string): Uint8Array<ArrayBuffer> {
  const arcs = dotted.split('.').map(Number);
  const [root, second, ...rest] = arcs;
  if (
    root === undefined ||
    second === undefined ||
    arcs.some((arc) => !Number.isSafeInteger(arc) || arc < 0)
  ) {
    throw new FormatError('not-encodable', `${dotted} is not an object identifier`);
  }
  const octets = [root * 40 + second, ...rest].flatMap((arc) => base128(arc));
  return derElement(derTag.oid, Uint8Array.from(octets));
}

/** RFC 5280 section 4.1.2.5: UTCTime until 2049, GeneralizedTime after; whole seconds, UTC. */
export function derTime(milliseconds: number): Uint8Array<ArrayBuffer> {
  const date = new Date(milliseconds);
  const year = date.getUTCFullYear();
  if (Number.isNaN(year) || year < 1950 || year > 9999) {
    throw new FormatError('not-encodable', `${milliseconds} ms is not a certificate time`);
  }
  const digits = `${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
  return year < 2050
    ? derElement(derTag.utcTime, Buffer.from(digits.slice(2), 'ascii'))
    : derElement(derTag.generalizedTime, Buffer.from(digits, 'ascii'));
}

function encodeLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const octets = bigEndian(length);
  return Uint8Array.of(0x80 | octets.length, ...octets);
}

function bigEndian(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new FormatError('not-encodable', `${value} is not a non-negative integer`);
  }
  const octets: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Uint8Array.from(octets);
}

function base128(arc: number): number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
    octets.unshift(0x80 | (rest % 128));
  }
  return octets;
}
