/** Random access to inputs that may be larger than memory: disk images, partitions, layers. */

import { FormatError } from './error.ts';

/**
 * Bytes one can read at any offset. `read` returns exactly `length` bytes or throws a FormatError
 * (`truncated`); the returned bytes may be a view that the next read overwrites, so copy what is kept.
 */
export interface ByteSource {
  /** Bytes. */
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

/** Throws unless `offset` and `length` lie inside `size` bytes. */
export function assertInside(size: number, offset: number, length: number): void {
  const legal = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!legal || offset > size || length > size - offset) {
    throw new FormatError('truncated', `${length} bytes at ${offset} lie outside ${size} bytes`, { offset });
  }
}

export function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read(offset, length) {
      assertInside(bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** A window of another source, for example one partition of a disk. */
export function sliceSource(source: ByteSource, start: number, size: number): ByteSource {
  assertInside(source.size, start, size);
  return {
    size,
    read(offset, length) {
      assertInside(size, offset, length);
      return source.read(start + offset, length);
    },
  };
}
