/** SHA-256 of files, several at a time: the largest go first, each to a thread of its own. */

import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

export interface HashedFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

const chunkSize = 1024 * 1024;

export function hashFile(path: string): HashedFile {
  const fd = openSync(path, 'r');
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafeSlow(chunkSize);
    let size = 0;
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, count));
      size += count;
    }
    return { path, size, sha256: hash.digest('hex') };
  } finally {
    closeSync(fd);
  }
}

/** In the order of `paths`. System errors reject. */
export async function hashFiles(paths: readonly string[]): Promise<readonly HashedFile[]> {
  const queue = paths.map((path, index) => ({ path, index, size: statSync(path).size }));
  queue.sort((a, b) => b.size - a.size);
  const results: HashedFile[] = [];
  const threads = Math.min(availableParallelism(), queue.length);
  await Promise.all(Array.from({ length: threads }, () => runThread(queue, results)));
  return results;
}

async function runThread(
  queue: { readonly path: string; readonly index: number }[],
  results: HashedFile[],
): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: hashThread });
  try {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { promise, resolve, reject } = Promise.withResolvers<HashedFile>();
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.postMessage(next.path);
      results[next.index] = await promise;
      worker.off('error', reject);
    }
  } finally {
    await worker.terminate();
  }
}

const hashThread = 'osguard-hash-files';

if (!isMainThread && workerData === hashThread) {
  parentPort?.on('message', (path: string) => parentPort?.postMessage(hashFile(path)));
}
