/** Names in headers are bytes; here they are UTF-8 or refused, so that no two names become one. */

import { FormatError } from '../bytes/index.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function decodeText(bytes: Uint8Array, what: string, offset: number): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new FormatError('unsupported', `${what} is not UTF-8`, { offset, cause });
  }
}

/** The bytes before the first NUL, or all of them. */
export function untilNul(field: Uint8Array): Uint8Array {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}
