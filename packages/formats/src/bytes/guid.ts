/**
 * GUIDs as UEFI stores them (UEFI 2.10 appendix A): the first three fields little-endian, the last two in
 * the order they are written. Text is always lower case, `c12a7328-f81f-11d2-ba4b-00a0c93ec93b`.
 */

import { FormatError } from './error.ts';
import { assertInside } from './source.ts';

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Which of the 16 stored bytes each written byte pair is. */
const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

const hexPair = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The GUID stored in the 16 bytes at `offset`. @throws FormatError (`truncated`) when there are fewer. */
export function parseGuid(bytes: Uint8Array, offset = 0): string {
  assertInside(bytes.length, offset, 16);
  let text = '';
  for (const place of order) text += hexPair[bytes[offset + place] ?? 0];
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`;
}

/** 16 bytes. @throws FormatError (`not-encodable`) when `text` is not a GUID. */
export function encodeGuid(text: string): Uint8Array<ArrayBuffer> {
  if (!shape.test(text)) throw new FormatError('not-encodable', `${JSON.stringify(text)} is not a GUID`);
  const digits = text.replaceAll('-', '');
  const bytes = new Uint8Array(16);
  for (let i = 0; i < 16; i += 1) {
    bytes[order[i] ?? 0] = Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16);
  }
  return bytes;
}

export const nilGuid = '00000000-0000-0000-0000-000000000000';
