/** A file that is either whole under its name or not there. */

import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OsguardError } from '@osguard/events';

/**
 * For before long work: nobody wants to hear at its end that the result has no place.
 *
 * @throws OsguardError (`bad-output`) when the folder is not there, or a folder has the file's name
 */
export async function assertPlaceFor(path: string): Promise<void> {
  const folder = dirname(path);
  if ((await statOf(folder))?.isDirectory() !== true) {
    throw new OsguardError('bad-output', `${path} cannot be written: there is no folder ${folder}`, {
      hint: `mkdir -p ${folder}`,
    });
  }
  if ((await statOf(path))?.isDirectory() === true) {
    throw new OsguardError('bad-output', `${path} is a folder, a file to write was expected`);
  }
}

/** @throws OsguardError (`bad-output`) as {@link assertPlaceFor} does; system errors pass through */
export async function writeWhole(
  path: string,
  content: Uint8Array | string | Iterable<Uint8Array>,
): Promise<void> {
  await assertPlaceFor(path);
  const partial = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(partial, 'wx', 0o644);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  // The rename itself is durable only when the folder is written.
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function statOf(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(path);
  } catch {
    return undefined;
  }
}
