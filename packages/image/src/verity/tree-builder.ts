/**
 * The hash tree of data that is being produced: blocks are hashed while the next ones are made, so that the data
 * is never read again. Other threads hash; when they cannot keep up, the producer hashes too instead of waiting.
 */

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { FormatError } from '@osguard/formats/bytes';
import type { RootHash, VerityGeometry, VerityParameters } from '@osguard/formats/verity';
import {
  checkVeritySalt,
  encodeVeritySuperblock,
  rootHashOf,
  verityGeometry,
  veritySuperblockSize,
} from '@osguard/formats/verity';
import type { BlockHashing } from './hash-window.ts';
import { blockHashing, digestLayout, HashWindow } from './hash-window.ts';
import { finishLevels, GrowingLevel } from './level-zero.ts';
import { writeFully } from './level-job.ts';
import { newSlotRing, SlotAccess, slotState } from './slots.ts';

export interface TreeBuilderOptions extends Omit<VerityParameters, 'dataBlocks'> {
  /** 0 to 256 bytes. */
  readonly salt: Uint8Array;
  /** UUID in the superblock; needed unless `superblock` is false. */
  readonly uuid?: string;
  /** Threads in all, the caller's included; one per core unless given. */
  readonly threads?: number;
  /** Bytes that will come, roughly: threads for much of it start at once, not when much has come. */
  readonly expectedSize?: number;
  /**
   * A file open for writing that gets all data, patches included, from byte `offset` (0 unless given) on: the
   * threads that hash also write. It is complete once the tree is finished.
   */
  readonly copyTo?: { readonly fd: number; readonly offset?: number };
}

export interface BuiltTree {
  readonly rootHash: RootHash;
  readonly geometry: VerityGeometry;
  /**
   * Superblock with its padding, then the levels: to be written one after another from `geometry.hashOffset` of
   * the hash device on, up to `geometry.hashEnd`.
   */
  readonly pieces: readonly Uint8Array[];
}

/**
 * Memory: 16 MiB of slots (64 blocks, when blocks are larger than 256 KiB), and the lowest level: 8 MiB for each GiB of data with sha256 and blocks of 4096 bytes.
 */
export interface TreeBuilder extends Disposable {
  /** Bytes pushed so far. */
  readonly size: number;
  /** Adds bytes behind all earlier ones; any number of them. They are copied: the caller may reuse its memory. */
  push(bytes: Uint8Array): void;
  /** Where the next bytes may be put without a copy, to be followed by {@link commit}; never empty. */
  space(): Uint8Array;
  /** Adds that many bytes of the last {@link space}. */
  commit(length: number): void;
  /**
   * Says that a block that was pushed in full got other content since. The last one said counts.
   * @throws FormatError `not-encodable` unless `bytes` is one whole block of those pushed.
   */
  patch(block: number, bytes: Uint8Array): void;
  /**
   * Ends the tree; nothing can be added afterwards.
   * @throws FormatError `not-encodable` unless a whole number of blocks came, at least one.
   */
  finish(): BuiltTree;
}

const ringSlots = 64;
const slotSize = 256 * 1024;

// Starting a thread takes longer than hashing this much here.
const worthAThread = 32 * 1024 * 1024;

// A slot takes a fraction of a millisecond; a thread that needs this long for one has died. Milliseconds.
const patience = 60_000;

/** @throws FormatError for impossible parameters; the number of data blocks is known at the end only. */
export function createTreeBuilder(options: TreeBuilderOptions): TreeBuilder {
  return new RingTreeBuilder(options);
}

interface Patch {
  readonly digest: Uint8Array;
  /** The block itself, when it has to be written over the one that was pushed. */
  readonly copy: Uint8Array | undefined;
}

class RingTreeBuilder implements TreeBuilder {
  readonly #options: TreeBuilderOptions;
  /** For one data block: everything but the sizes holds for any number. */
  readonly #geometry: VerityGeometry;
  readonly #hashing: BlockHashing;
  readonly #slots: SlotAccess;
  readonly #lowest: GrowingLevel;
  readonly #patches = new Map<number, Patch>();
  readonly #slotBytes: number;
  /** Slots handed over, and of those the ones whose digests were collected. */
  #offered = 0;
  #collected = 0;
  /** Bytes in the slot that is being filled. */
  #filled = 0;
  #size = 0;
  #threads: Worker[] | undefined;
  #closed = false;

  constructor(options: TreeBuilderOptions) {
    checkVeritySalt(options.salt);
    this.#options = options;
    this.#geometry = verityGeometry({ ...options, dataBlocks: 1 });
    this.#hashing = blockHashing(this.#geometry, options.salt);
    this.#superblock(this.#geometry);
    const { dataBlockSize, digestSize } = this.#geometry;
    const blocks = Math.max(1, slotSize / dataBlockSize);
    this.#slotBytes = blocks * dataBlockSize;
    const hashing = this.#hashing;
    const copyTo = options.copyTo && { fd: options.copyTo.fd, offset: options.copyTo.offset ?? 0 };
    this.#slots = new SlotAccess(
      newSlotRing({ hashing, digestSize, blockSize: dataBlockSize, slots: ringSlots, blocks, copyTo }),
    );
    this.#lowest = new GrowingLevel(digestLayout(this.#geometry));
    if ((options.expectedSize ?? 0) >= worthAThread) this.#startThreads();
  }

  get size(): number {
    return this.#size;
  }

  push(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const space = this.space();
      const run = bytes.subarray(done, done + space.length);
      space.set(run);
      this.commit(run.length);
      done += run.length;
    }
  }

  space(): Uint8Array {
    this.#assertOpen();
    return this.#slots.window(this.#offered % ringSlots).data.subarray(this.#filled, this.#slotBytes);
  }

  commit(length: number): void {
    this.#filled += length;
    this.#size += length;
    if (this.#filled === this.#slotBytes) this.#offer();
  }

  patch(block: number, bytes: Uint8Array): void {
    this.#assertOpen();
    const { dataBlockSize } = this.#geometry;
    const pushed = Math.floor(this.#size / dataBlockSize);
    if (!Number.isInteger(block) || block < 0 || block >= pushed || bytes.length !== dataBlockSize) {
      const what = `block ${block} with ${bytes.length} bytes`;
      throw new FormatError(
        'not-encodable',
        `${what}: ${pushed} whole blocks of ${dataBlockSize} bytes were pushed`,
      );
    }
    const copy = this.#options.copyTo === undefined ? undefined : Uint8Array.from(bytes);
    this.#patches.set(block, { digest: this.#digestOf(bytes), copy });
  }

  finish(): BuiltTree {
    this.#assertOpen();
    const { dataBlockSize } = this.#geometry;
    if (this.#size === 0 || this.#size % dataBlockSize !== 0) {
      const what = this.#size === 0 ? 'no data was pushed' : `${this.#size} bytes were pushed`;
      throw new FormatError('not-encodable', `${what}: expected whole blocks of ${dataBlockSize} bytes`);
    }
    const geometry = verityGeometry({ ...this.#options, dataBlocks: this.#size / dataBlockSize });
    if (this.#filled > 0) this.#offer();
    while (this.#collected < this.#offered) this.#collect();
    this[Symbol.dispose]();
    for (const [block, patch] of this.#patches) this.#apply(block, patch);
    const { pieces, top } = finishLevels(this.#lowest, { geometry, hashing: this.#hashing });
    return { rootHash: rootHashOf(top), geometry, pieces: [...this.#superblock(geometry), ...pieces] };
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#slots.close(patience);
  }

  #apply(block: number, { digest, copy }: Patch): void {
    this.#lowest.replace(block, digest);
    const { copyTo } = this.#options;
    if (copyTo === undefined || copy === undefined) return;
    writeFully(copyTo.fd, copy, (copyTo.offset ?? 0) + block * this.#geometry.dataBlockSize);
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error('this tree is finished');
  }

  #superblock(geometry: VerityGeometry): Uint8Array[] {
    const { uuid, salt } = this.#options;
    if (!geometry.superblock) return [];
    if (uuid === undefined) {
      throw new FormatError('not-encodable', 'a superblock needs a UUID', {
        hint: 'give one, or superblock: false',
      });
    }
    const padding = geometry.treeOffset - geometry.hashOffset - veritySuperblockSize;
    return [encodeVeritySuperblock({ ...geometry, uuid, salt }), new Uint8Array(padding)];
  }

  #digestOf(block: Uint8Array): Uint8Array {
    const { dataBlockSize, digestSize } = this.#geometry;
    const window = new HashWindow({ hashing: this.#hashing, blockSize: dataBlockSize, blocks: 1 });
    window.data.set(block);
    const digest = Buffer.alloc(digestSize);
    const layout = { digestSize, digestStride: digestSize, digestsPerBlock: 1, hashBlockSize: digestSize };
    window.digestInto(digest, { count: 1, first: 0, at: 0, layout });
    return digest;
  }

  /** Hands over the slot that is being filled, and makes sure that the next one can be. */
  #offer(): void {
    const turn = Math.floor(this.#offered / ringSlots);
    this.#slots.offer(this.#offered % ringSlots, this.#filled / this.#geometry.dataBlockSize, turn);
    this.#offered += 1;
    this.#filled = 0;
    if (this.#threads === undefined && this.#offered * this.#slotBytes >= worthAThread) this.#startThreads();
    if (this.#offered - this.#collected === ringSlots) this.#collect();
  }

  /** Takes the digests of the oldest slot, hashing whatever is left to hash while it is not ready. */
  #collect(): void {
    const slot = this.#collected % ringSlots;
    for (;;) {
      const state = this.#slots.state(slot);
      if (state === slotState.owned) break;
      if (state === slotState.lost) throw new Error('hashing broke off in a thread');
      if (state === slotState.failed) this.#slots.tryHash(slot, slotState.failed);
      else if (!this.#hashOne() && !this.#slots.waitWhileBusy(slot, patience)) {
        throw new Error('a hashing thread does not answer any more');
      }
    }
    this.#lowest.append(this.#slots.digests(slot), this.#slots.count(slot));
    this.#collected += 1;
  }

  #hashOne(): boolean {
    for (let number = this.#collected; number < this.#offered; number += 1) {
      if (this.#slots.tryHash(number % ringSlots)) return true;
    }
    return false;
  }

  #startThreads(): void {
    const count = (this.#options.threads ?? availableParallelism()) - 1;
    this.#threads = Array.from({ length: Math.max(0, count) }, () => {
      const url = new URL('./slot-worker.ts', import.meta.url);
      const thread = new Worker(url, { workerData: this.#slots.ring });
      // A thread that cannot start is not missed: the producer hashes what nobody takes.
      thread.once('error', () => undefined);
      // An abandoned builder does not keep the process alive.
      thread.unref();
      return thread;
    });
  }
}
