/** What a folder takes on its disk. A container may have made millions of files: nothing is kept of what was counted. */

import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

export interface FolderUsage {
  /** Bytes of allocated blocks. */
  readonly size: number;
  readonly inodes: number;
}

/** Each of a file's names counts its share. What disappears meanwhile, or lies too deep for a path, counts as nothing. */
export async function folderUsage(folder: string): Promise<FolderUsage> {
  const total = { size: 0, inodes: 0 };
  await add(folder, total);
  return { size: Math.round(total.size), inodes: Math.round(total.inodes) };
}

async function add(path: string, total: { size: number; inodes: number }): Promise<void> {
  try {
    const entry = await lstat(path);
    const names = entry.isDirectory() ? 1 : entry.nlink;
    total.size += (entry.blocks * 512) / names;
    total.inodes += 1 / names;
    if (!entry.isDirectory()) return;
    for await (const { name } of await opendir(path)) await add(join(path, name), total);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && passedOver.has(String(error.code)))) throw error;
  }
}

const passedOver: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);
