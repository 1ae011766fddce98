/** A folder that appears under its name only when it is whole. */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

export interface OutputFolder extends AsyncDisposable {
  /** Where to write. */
  readonly path: string;
  /** Makes it appear under its final name, replacing what was there. */
  commit(): Promise<void>;
}

/**
 * Starts a folder next to `target` under a temporary name. Without `commit()` disposing removes it. What earlier
 * runs left when they were killed is removed first, so that no half-written gigabytes pile up.
 */
export async function createOutputFolder(target: string): Promise<OutputFolder> {
  const final = resolve(target);
  const parent = dirname(final);
  const prefix = `.${basename(final)}.partial-`;
  await mkdir(parent, { recursive: true });
  await removeLeftovers(parent, prefix);
  const path = join(parent, `${prefix}${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(path);
  let committed = false;
  return {
    path,
    async commit() {
      await syncFolder(path);
      const aside = `${path}.old`;
      // A folder cannot be exchanged atomically: between these two renames a crash leaves no folder of that
      // name, and the old one whole beside it. It never leaves a mixture.
      if (existsSync(final)) await rename(final, aside);
      await rename(path, final);
      committed = true;
      await syncFolder(parent);
      await rm(aside, { recursive: true, force: true });
    },
    async [Symbol.asyncDispose]() {
      if (!committed) await rm(path, { recursive: true, force: true });
    },
  };
}

async function removeLeftovers(parent: string, prefix: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const owner = Number(name.slice(prefix.length).split('-', 1)[0]);
    if (!isAlive(owner)) await rm(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
