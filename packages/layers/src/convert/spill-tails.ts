/** Inline tails of a layer: the first in memory, the rest in a file without a name. */

import { closeSync, openSync, readSync, rmSync } from 'node:fs';
import { FormatError } from '@osguard/formats/bytes';
import type { TailStore } from '@osguard/formats/erofs';
import { memoryTailStore } from '@osguard/formats/erofs';
import { writeFully } from '../files/write-fully.ts';

/** Enough for layers of some hundred megabytes; a file is not much slower. Bytes. */
const inMemory = 8 * 1024 * 1024;
const gatherSize = 1024 * 1024;
/** Tails are asked for nearly in the order they came. Bytes; larger than the largest tail. */
const windowSize = 64 * 1024;

export interface SpillTails extends TailStore, Disposable {}

/** @param path of a file that must not exist; it is removed as soon as it is open. */
export function spillTails(path: string, limit: number = inMemory): SpillTails {
  return new Spill(path, limit);
}

class Spill implements SpillTails {
  readonly #path: string;
  readonly #limit: number;
  readonly #memory = memoryTailStore();
  #kept = 0;
  #fd: number | undefined;
  /** Bytes in the file. */
  #written = 0;
  #gathered = new Uint8Array();
  #used = 0;
  readonly #window = new Uint8Array(windowSize);
  #windowAt = -1;
  #windowLength = 0;

  constructor(path: string, limit: number) {
    this.#path = path;
    this.#limit = limit;
  }

  /** Handles of the memory are even, those of the file odd. */
  append(bytes: Uint8Array): number {
    if (this.#kept + bytes.length <= this.#limit) {
      this.#kept += bytes.length;
      return this.#memory.append(bytes) * 2;
    }
    // From here on everything goes to the file.
    this.#kept = this.#limit;
    if (this.#gathered.length === 0) this.#gathered = new Uint8Array(gatherSize);
    if (this.#used + bytes.length > gatherSize) this.#flush();
    this.#gathered.set(bytes, this.#used);
    const handle = (this.#written + this.#used) * 2 + 1;
    this.#used += bytes.length;
    return handle;
  }

  read(handle: number, length: number): Uint8Array {
    if (handle % 2 === 0) return this.#memory.read(handle / 2, length);
    const at = (handle - 1) / 2;
    if (this.#used > 0) this.#flush();
    const inWindow = this.#windowAt >= 0 && at >= this.#windowAt;
    if (!inWindow || at + length > this.#windowAt + this.#windowLength) this.#fill(at, length);
    const start = at - this.#windowAt;
    return this.#window.subarray(start, start + length);
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #flush(): void {
    if (this.#fd === undefined) {
      this.#fd = openSync(this.#path, 'wx+', 0o600);
      // Whatever ends this process, nothing of it stays behind.
      rmSync(this.#path);
    }
    writeFully(this.#fd, this.#gathered.subarray(0, this.#used), this.#written);
    this.#written += this.#used;
    this.#used = 0;
  }

  #fill(at: number, length: number): void {
    let filled = 0;
    while (this.#fd !== undefined && filled < windowSize) {
      const count = readSync(this.#fd, this.#window, filled, windowSize - filled, at + filled);
      if (count === 0) break;
      filled += count;
    }
    if (filled < length) throw new FormatError('truncated', `${this.#path} lost ${length} bytes at ${at}`);
    this.#windowAt = at;
    this.#windowLength = filled;
  }
}
