/** One pass over a layer's archive: nothing is unpacked to disk, and one file at a time is in memory. */

import type { TarReadEntry, TarSink } from '@osguard/formats/tar';
import { createTarReader } from '@osguard/formats/tar';
import { isElf } from '@osguard/formats/elf';
import { FormatError } from '@osguard/formats/bytes';
import { LayerError } from '../error.ts';
import { readLayer } from '../convert/decompress.ts';
import { examineElf } from './elf-evidence.ts';
import type { MergedTree, TreeFile } from './merged-tree.ts';

export interface ScanLayerOptions {
  readonly tree: MergedTree;
  /** Larger ELF files are only noted. Bytes. */
  readonly largestFile: number;
  /** Of the blob. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Enough for `#!` lines: the kernel reads 256 bytes of them (binfmt_script). */
const headSize = 256;

/** @throws LayerError `layer-format` */
export async function scanLayer(blob: AsyncIterable<Uint8Array>, options: ScanLayerOptions): Promise<void> {
  const { tree, signal, onProgress } = options;
  tree.beginLayer();
  const reader = createTarReader(new Scanner(tree, options.largestFile), { lenientEnd: true });
  let done = 0;
  try {
    await readLayer(blob, {
      signal,
      consume: (piece) => reader.push(piece),
      onSource: (bytes) => {
        done += bytes;
        onProgress?.(done);
      },
    });
    reader.end();
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new LayerError('layer-format', `no layer: ${cause.message}`, { cause });
  }
  tree.endLayer();
}

class Scanner implements TarSink {
  readonly #tree: MergedTree;
  readonly #largest: number;
  #file: TreeFile | undefined;
  /** What is kept of the file: its head, and all of it once that says ELF. */
  #kept = Buffer.alloc(0);
  #filled = 0;
  #size = 0;

  constructor(tree: MergedTree, largest: number) {
    this.#tree = tree;
    this.#largest = largest;
  }

  entry(entry: TarReadEntry): void {
    this.#file = this.#tree.add(entry);
    this.#filled = 0;
    this.#kept = Buffer.alloc(this.#file === undefined ? 0 : Math.min(entry.size, headSize));
    this.#size = entry.size;
  }

  data(bytes: Uint8Array): void {
    if (this.#filled === this.#kept.length) return;
    let rest = bytes;
    if (this.#filled < headSize) {
      rest = this.#take(bytes);
      if (this.#filled < this.#kept.length) return;
      if (this.#size > headSize && isElf(this.#kept)) this.#makeRoom();
    }
    this.#take(rest);
  }

  entryEnd({ path }: TarReadEntry): void {
    const file = this.#file;
    if (file === undefined) return;
    if (isElf(this.#kept)) {
      if (file.unread !== undefined) return;
      const facts = examineElf(this.#kept.subarray(0, this.#filled), path.slice(path.lastIndexOf('/') + 1));
      if (facts !== undefined) file.elf = facts;
    } else if (this.#kept[0] === 0x23 && this.#kept[1] === 0x21) {
      const line = this.#kept.toString('latin1', 2, this.#filled).split('\n', 1)[0] ?? '';
      file.script = line.trim();
    }
  }

  #makeRoom(): void {
    if (this.#size > this.#largest) {
      if (this.#file !== undefined) this.#file.unread = `an ELF file of ${this.#size} bytes`;
      return;
    }
    const all = Buffer.allocUnsafe(this.#size);
    this.#kept.copy(all, 0, 0, this.#filled);
    this.#kept = all;
  }

  /** @returns what did not fit. */
  #take(bytes: Uint8Array): Uint8Array {
    const part = bytes.subarray(0, this.#kept.length - this.#filled);
    this.#kept.set(part, this.#filled);
    this.#filled += part.length;
    return bytes.subarray(part.length);
  }
}
