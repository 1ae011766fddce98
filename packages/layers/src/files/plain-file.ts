/** A file that was left beside an output: only a plain file is opened, whatever may lie there. */

import { closeSync, constants, fstatSync, openSync } from 'node:fs';

/** Undefined when there is none. A link is not followed, and a pipe or device is not waited for. */
export function openPlainFile(path: string, flags: number): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP', 'ENXIO', 'EISDIR')) return undefined;
    throw error;
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  return undefined;
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
