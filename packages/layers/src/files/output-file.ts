/** A file that appears under its name whole or not at all. */

import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

export interface OutputFile extends Disposable {
  /** Open for reading and writing. */
  readonly fd: number;
  /** A name beside it for something temporary. */
  beside(suffix: string): string;
  /** Makes it last and gives it its name; without it, disposing removes it. */
  commit(): void;
}

let count = 0;

/** A crash leaves at most a hidden file `.NAME.partial-PID-N` behind. */
export function createOutputFile(path: string): OutputFile {
  const final = resolve(path);
  count += 1;
  const temporary = join(dirname(final), `.${basename(final)}.partial-${process.pid}-${count}`);
  const fd = openSync(temporary, 'wx+', 0o644);
  return {
    fd,
    beside: (suffix) => `${temporary}.${suffix}`,
    commit() {
      fsyncSync(fd);
      // A crash before this leaves the old file, if there was one.
      renameSync(temporary, final);
      syncFolder(dirname(final));
    },
    [Symbol.dispose]() {
      closeSync(fd);
      rmSync(temporary, { force: true });
    },
  };
}

export function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
