import { readSync } from 'node:fs';

/** Fills `target` from `position` on. @returns bytes that were there: fewer only at the end of the file. */
export function readFully(fd: number, target: Uint8Array, position: number): number {
  let done = 0;
  while (done < target.length) {
    const count = readSync(fd, target, done, target.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
