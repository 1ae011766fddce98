/**
 * Files and folders of the service on /var. Whoever had the disk in his hands may have put a link, a pipe or a device in
 * their place: nothing is read or written through one, and nothing waits for one.
 */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { chmod, lstat, mkdir, realpath, rm } from 'node:fs/promises';
import { SnapshotterError } from './error.ts';

/** Makes the folder. What lies there and is no folder of this user is deleted. Its parent must be one already. */
export async function ownFolder(path: string, mode: number): Promise<void> {
  const found = await find(path);
  if (found === undefined || !found.isDirectory() || found.uid !== process.getuid?.()) {
    await rm(path, { recursive: true, force: true });
    await mkdir(path);
  }
  // Whatever the umask is.
  await chmod(path, mode);
}

/** @throws SnapshotterError `precondition` when a part of the path is a link. */
export async function mustNotLead(path: string): Promise<void> {
  const real = await realpath(path);
  if (real === path) return;
  throw new SnapshotterError('precondition', `${path} is a link to ${real} and is not used`);
}

/** @throws SnapshotterError `precondition` unless each is a folder. */
export async function mustBeFolders(...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if ((await find(path))?.isDirectory() !== true)
      throw new SnapshotterError('precondition', `${path} is no folder and is not used`);
  }
}

/** Whether a plain file of this user lies there; what else does is deleted. */
export async function isOwnFile(path: string): Promise<boolean> {
  const found = await find(path);
  if (found?.isFile() === true && found.uid === process.getuid?.()) return true;
  if (found !== undefined) await rm(path, { recursive: true, force: true });
  return false;
}

/** @returns undefined when nothing is there. @throws SnapshotterError `precondition` unless it is a file of at most `most` bytes. */
export function readOwnFile(path: string, most: number): Uint8Array | undefined {
  let fd: number;
  try {
    // Not blocking: opening a pipe would wait for somebody to write.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const found = fstatSync(fd);
    if (!found.isFile() || found.size > most) {
      const what = found.isFile() ? `has ${found.size} bytes` : 'is no file';
      throw new SnapshotterError('precondition', `${path} ${what} and is not used`);
    }
    const bytes = new Uint8Array(found.size);
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

async function find(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
