/** One process at a time in a folder. The lock is a file made exclusively, holding the owner's process id. */

import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface FolderLockOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Runs `work` while holding the lock; waits for other holders, takes over from dead ones. */
export async function withFolderLock<T>(
  folder: string,
  { signal }: FolderLockOptions,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, '.lock');
  for (;;) {
    signal?.throwIfAborted();
    try {
      const file = await open(path, 'wx');
      await file.writeFile(String(process.pid));
      await file.close();
      break;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    if (await isStale(path)) await rm(path, { force: true });
    else await sleep(100, undefined, signal === undefined ? {} : { signal });
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function isStale(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return false;
  // Made but not yet written; after some seconds its maker must have died in between.
  if (text === '') return Date.now() - (await stat(path)).mtimeMs > 10_000;
  try {
    process.kill(Number(text), 0);
    return false;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'EPERM');
  }
}
