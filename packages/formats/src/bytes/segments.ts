/** Outputs that are mostly someone else's bytes: pieces at offsets, zeros between them, nothing copied. */

import { FormatError } from './error.ts';
import type { ByteSource } from './source.ts';
import { assertInside } from './source.ts';

export interface Segment {
  /** From the start of the whole. Bytes. */
  readonly offset: number;
  readonly body: ByteSource;
}

/**
 * The whole as a source of `size` bytes. A read inside one segment is not copied.
 *
 * @throws FormatError (`not-encodable`) when segments are out of order, overlap or lie outside the size.
 */
export function segmentSource(segments: readonly Segment[], size: number): ByteSource {
  let end = 0;
  for (const { offset, body } of segments) {
    if (offset < end || offset + body.size > size) {
      throw new FormatError(
        'not-encodable',
        `${body.size} bytes at ${offset}: before ${end} or beyond ${size}`,
      );
    }
    end = offset + body.size;
  }
  return {
    size,
    read(offset, length) {
      assertInside(size, offset, length);
      let i = firstEndingAfter(segments, offset);
      const only = segments[i];
      if (only !== undefined && only.offset <= offset && offset + length <= only.offset + only.body.size) {
        return only.body.read(offset - only.offset, length);
      }
      const bytes = new Uint8Array(length);
      for (; ; i += 1) {
        const segment = segments[i];
        if (segment === undefined || segment.offset >= offset + length) return bytes;
        const from = Math.max(offset, segment.offset);
        const to = Math.min(offset + length, segment.offset + segment.body.size);
        if (to > from) bytes.set(segment.body.read(from - segment.offset, to - from), from - offset);
      }
    },
  };
}

function firstEndingAfter(segments: readonly Segment[], offset: number): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const segment = segments[middle];
    if (segment !== undefined && segment.offset + segment.body.size <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
