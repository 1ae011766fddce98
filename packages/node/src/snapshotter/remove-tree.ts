/**
 * Deletes what a container left, in little memory: a list of millions of names would be more than the service has, and
 * folders within folders become a path longer than the kernel takes.
 */

import type { Dirent } from 'node:fs';
import { lstat, opendir, rename, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Each folder found is first moved beside the tree, as `PATH.1`, `PATH.2` and so on: after a crash whoever looks through
 * that place finds names that are nobody's. What is gone already is no error.
 */
export async function removeTree(path: string): Promise<void> {
  let moved = 0;
  const moveAside = async (folder: string): Promise<void> => {
    let code: string | undefined;
    do {
      moved += 1;
      // A place where nobody but us can put something else under that name; what a crash left there goes with it.
      code = await codeOf(rename(folder, `${path}.${moved}`));
    } while (code === 'ENOTEMPTY' || code === 'EEXIST');
  };
  for (let next = 0; next <= moved; next += 1) {
    const folder = next === 0 ? path : `${path}.${next}`;
    while (!(await isGone(folder))) {
      for await (const entry of entriesOf(folder)) {
        const inside = join(folder, entry.name);
        if (entry.isDirectory()) await moveAside(inside);
        else await codeOf(unlink(inside));
      }
    }
  }
}

/** An empty folder, and what is no folder, goes. */
async function isGone(path: string): Promise<boolean> {
  const remove = async (): Promise<void> => ((await lstat(path)).isDirectory() ? rmdir(path) : unlink(path));
  return (await codeOf(remove())) !== 'ENOTEMPTY';
}

async function* entriesOf(folder: string): AsyncGenerator<Dirent, void, undefined> {
  try {
    yield* await opendir(folder);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}

/** Of an error that has a meaning here; undefined when there was none. */
async function codeOf(work: Promise<void>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && expected.has(String(error.code)))
      return String(error.code);
    throw error;
  }
}

const expected: ReadonlySet<string> = new Set(['ENOENT', 'ENOTEMPTY', 'EEXIST']);
