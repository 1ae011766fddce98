/** The index of a download that may be interrupted, beside what was downloaded. */

import { closeSync, constants } from 'node:fs';
import { FormatError } from '@osguard/formats/bytes';
import { chunkIndexFrameSize, chunkIndexHeadSize } from '@osguard/formats/layer';
import { createOutputFile } from '../files/output-file.ts';
import { openPlainFile } from '../files/plain-file.ts';
import { readFully } from '../files/read-fully.ts';
import { writeFully } from '../files/write-fully.ts';

/** Undefined when there is none, or something else lies there. */
export function readSavedIndex(path: string): Uint8Array | undefined {
  const fd = openPlainFile(path, constants.O_RDONLY);
  if (fd === undefined) return undefined;
  try {
    const head = new Uint8Array(chunkIndexHeadSize);
    if (readFully(fd, head, 0) < head.length) return undefined;
    const bytes = new Uint8Array(chunkIndexFrameSize(head));
    return readFully(fd, bytes, 0) === bytes.length ? bytes : undefined;
  } catch (error) {
    // A torn index is as good as none.
    if (error instanceof FormatError) return undefined;
    throw error;
  } finally {
    closeSync(fd);
  }
}

export function saveIndex(path: string, bytes: Uint8Array): void {
  using file = createOutputFile(path);
  writeFully(file.fd, bytes, 0);
  file.commit();
}
