/**
 * Where inodes go. An inode with its xattrs and inline tail must lie in one block (the kernel reads a tail from the
 * block it starts in), so this is bin packing: best fit, which for the mix of a file tree wastes well under a
 * percent, with the newest of equally full blocks first so that neighbours in a directory stay neighbours on disk.
 */

import { FormatError } from '../bytes/index.ts';
import { slotSize } from './layout.ts';

export class Placement {
  readonly #blockSize: number;
  /** `#open[n]`: indices of blocks that have exactly n free slots at their end. */
  readonly #open: number[][];
  #blocks = 0;

  constructor(blockSize: number) {
    this.#blockSize = blockSize;
    this.#open = Array.from({ length: blockSize / slotSize + 1 }, () => []);
  }

  /** Blocks begun so far. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Offset in the inode area for `size` bytes, on a slot boundary and inside one block when they fit one. */
  place(size: number): number {
    if (size > this.#blockSize) return this.run(size);
    const needed = Math.ceil(size / slotSize);
    for (let free = needed; free < this.#open.length; free += 1) {
      const block = this.#open[free]?.pop();
      if (block === undefined) continue;
      this.#keep(block, free - needed);
      return (block + 1) * this.#blockSize - free * slotSize;
    }
    return this.run(size);
  }

  /** Offset of `size` bytes that start a block of their own and may span several. */
  run(size: number): number {
    const first = this.#blocks;
    const count = Math.max(1, Math.ceil(size / this.#blockSize));
    this.#blocks += count;
    if (this.#blocks > 0xffff_ffff) throw new FormatError('not-encodable', 'more than 2^32 blocks of inodes');
    const left = count * this.#blockSize - size;
    this.#keep(this.#blocks - 1, Math.floor(left / slotSize));
    return first * this.#blockSize;
  }

  #keep(block: number, free: number): void {
    if (free > 0) this.#open[free]?.push(block);
  }
}
