/** How TPM structures lie on the wire: big-endian, with sized buffers (TPM 2.0 Library Part 2, section 10.4). */

import { ByteReader, ByteWriter, FormatError } from '../bytes/index.ts';

/** Bytes: more than any command or response buffer of a TPM, so nothing larger is a structure of one. */
export const largestStructure = 8192;

/** Runs `read` over all of `bytes`, whose last byte must belong to the structure. */
export function readWhole<T>(bytes: Uint8Array, what: string, read: (reader: ByteReader) => T): T {
  if (bytes.length > largestStructure) {
    throw new FormatError('too-large', `${what} of ${bytes.length} bytes; at most ${largestStructure}`);
  }
  const reader = tpmReader(bytes);
  const value = read(reader);
  reader.end(what);
  return value;
}

export function tpmReader(bytes: Uint8Array, base = 0): ByteReader {
  return new ByteReader(bytes, { endian: 'big', base });
}

export function tpmWriter(): ByteWriter {
  return new ByteWriter({ endian: 'big' });
}

/** The contents of a TPM2B. @throws FormatError (`too-large`) when longer than `most` bytes. */
export function readSized(reader: ByteReader, what: string, most: number): Uint8Array {
  const at = reader.offset;
  const size = reader.u16(`size of ${what}`);
  if (size > most) {
    throw new FormatError('too-large', `${what} of ${size} bytes; at most ${most}`, { offset: at });
  }
  return reader.bytes(size, what);
}

/** A TPM2B. */
export function sized(bytes: Uint8Array): Uint8Array {
  return tpmWriter().u16(bytes.length).bytes(bytes).finish();
}

/** Left-pads an integer of up to `size` bytes; coordinates may come without their leading zeros. */
export function leftPad(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length === size) return bytes;
  if (bytes.length > size) {
    throw new FormatError('not-encodable', `${bytes.length} bytes do not fit in ${size}`);
  }
  const padded = new Uint8Array(size);
  padded.set(bytes, size - bytes.length);
  return padded;
}
