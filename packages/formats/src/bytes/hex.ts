/** Lower-case hexadecimal, as root hashes and digests are written everywhere in osguard. */

import { FormatError } from './error.ts';

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** @throws FormatError unless `text` is an even number of hexadecimal digits. */
export function fromHex(text: string, what = 'hex string'): Uint8Array<ArrayBuffer> {
  if (text.length % 2 !== 0 || /[^0-9a-fA-F]/.test(text)) {
    throw new FormatError('malformed', `${what}: not an even number of hexadecimal digits`);
  }
  return new Uint8Array(Buffer.from(text, 'hex'));
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
