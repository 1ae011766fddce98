/** The index of a download that may be interrupted, beside what was downloaded. */

import { readFileSync } from 'node:fs';
import { createOutputFile } from '../files/output-file.ts';
import { writeFully } from '../files/write-fully.ts';

/** Undefined when there is none. */
export function readSavedIndex(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export function saveIndex(path: string, bytes: Uint8Array): void {
  using file = createOutputFile(path);
  writeFully(file.fd, bytes, 0);
  file.commit();
}
