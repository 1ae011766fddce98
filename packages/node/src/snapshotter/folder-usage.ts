/** What a folder takes on its disk. */

import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface FolderUsage {
  /** Bytes of allocated blocks. */
  readonly size: number;
  readonly inodes: number;
}

/** Hard links count once. What disappears meanwhile counts as nothing. */
export async function folderUsage(folder: string): Promise<FolderUsage> {
  const seen = new Set<number>();
  let size = 0;
  const waiting = [folder];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    try {
      const entry = await lstat(path);
      if (!seen.has(entry.ino)) {
        seen.add(entry.ino);
        size += entry.blocks * 512;
      }
      if (entry.isDirectory()) for (const name of await readdir(path)) waiting.push(join(path, name));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
  return { size, inodes: seen.size };
}
