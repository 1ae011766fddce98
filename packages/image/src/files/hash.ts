/** SHA-256 of whole files, several at a time. */

import { statSync } from 'node:fs';
import type { FileThreads } from './file-threads.ts';

export interface HashedFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** In the order of `paths`; the largest are begun first. System errors reject. */
export async function hashFiles(
  paths: readonly string[],
  threads: FileThreads,
): Promise<readonly HashedFile[]> {
  const queue = paths.map((path, index) => ({ path, index, size: statSync(path).size }));
  queue.sort((a, b) => b.size - a.size);
  const results: HashedFile[] = [];
  await Promise.all(
    queue.map(async ({ path, index }) => {
      results[index] = { path, ...(await threads.sha256(path)) };
    }),
  );
  return results;
}
