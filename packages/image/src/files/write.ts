/** Writing at positions: whole writes, and copies of sources that are larger than memory. */

import { writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { ByteSource, Segment } from '@osguard/formats/bytes';

const copySize = 4 * 1024 * 1024;

/** Writes all of `bytes` at `position`: a single write may stop early. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** Copies a source to `position`, 4 MiB at a time. */
export function writeSource(fd: number, source: ByteSource, position: number): void {
  for (let at = 0; at < source.size; at += copySize) {
    writeFully(fd, source.read(at, Math.min(copySize, source.size - at)), position + at);
  }
}

/** Copies segments to their offsets from `position`; what lies between them is left as it is (holes in a new file). */
export function writeSegments(fd: number, segments: readonly Segment[], position: number): void {
  for (const { offset, body } of segments) writeSource(fd, body, position + offset);
}

/** A new file, synced before it is closed; it must not exist. */
export async function writeWhole(path: string, bytes: Uint8Array | string): Promise<void> {
  await writeFile(path, bytes, { flag: 'wx', flush: true });
}
