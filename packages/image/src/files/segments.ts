/** Content in pieces: bytes in memory and ranges of files, copied to a file without ever being held whole. */

import { closeSync, openSync, readSync, writeSync } from 'node:fs';

export interface BytesSegment {
  readonly bytes: Uint8Array;
}

export interface FileSegment {
  readonly path: string;
  /** Bytes; 0 unless told otherwise. */
  readonly offset?: number;
  readonly length: number;
}

export type Segment = BytesSegment | FileSegment;

const copySize = 4 * 1024 * 1024;

export function segmentLength(segment: Segment): number {
  return 'bytes' in segment ? segment.bytes.length : segment.length;
}

export function segmentsLength(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + segmentLength(segment), 0);
}

/** Every byte of the segments in order, as chunks of at most 4 MiB; a chunk is valid until the next one is asked for. */
export function* readSegments(segments: readonly Segment[]): Generator<Uint8Array> {
  const buffer = new Uint8Array(copySize);
  for (const segment of segments) {
    if ('bytes' in segment) {
      if (segment.bytes.length > 0) yield segment.bytes;
      continue;
    }
    const fd = openSync(segment.path, 'r');
    try {
      let done = 0;
      while (done < segment.length) {
        const want = Math.min(copySize, segment.length - done);
        const count = readSync(fd, buffer, 0, want, (segment.offset ?? 0) + done);
        if (count === 0) throw new Error(`${segment.path} is shorter than ${segment.length} bytes`);
        yield buffer.subarray(0, count);
        done += count;
      }
    } finally {
      closeSync(fd);
    }
  }
}

/** Writes all of `bytes` at `position`: a single write may stop early. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** Writes the segments at `position`; returns the number of bytes written. */
export function writeSegments(fd: number, segments: readonly Segment[], position: number): number {
  let at = position;
  for (const chunk of readSegments(segments)) {
    writeFully(fd, chunk, at);
    at += chunk.length;
  }
  return at - position;
}
