/**
 * Memory shared by the thread that produces data and the threads that hash it: a ring of slots, each one run of
 * blocks in and its digests out. Who may touch a slot is said by its state alone.
 */

import type { BlockHashing, DigestLayout } from './hash-window.ts';
import { HashWindow } from './hash-window.ts';
import { writeFully } from './level-job.ts';

/** The states of a slot; only the compare-and-exchange from `ready` to `busy` has more than one contender. */
export const slotState = {
  /** The producer's: empty, being filled, or with digests it may collect. */
  owned: 0,
  /** Full, and nobody hashes it yet. */
  ready: 1,
  /** A thread hashes it. */
  busy: 2,
  /** A thread could not copy it to the file: the producer tries again, to get the error. */
  failed: 3,
  /** Hashing it broke off, which destroyed the data. */
  lost: 4,
} as const;

/** A file that gets all data at the offset at which it was pushed. */
export interface CopyTarget {
  readonly fd: number;
  /** Byte of the file at which the data begins. */
  readonly offset: number;
}

/** Plain data: it is sent to the threads. */
export interface SlotRing {
  readonly hashing: BlockHashing;
  readonly digestSize: number;
  /** Bytes of one block. */
  readonly blockSize: number;
  readonly slots: number;
  /** Blocks in a slot. */
  readonly blocks: number;
  readonly copyTo: CopyTarget | undefined;
  /** Per slot its state, the number of blocks in it and how often it was used before; then a counter that wakes the threads, and whether the ring is closed. */
  readonly control: SharedArrayBuffer;
  readonly data: SharedArrayBuffer;
  readonly digests: SharedArrayBuffer;
}

const slotFields = 3;

export function newSlotRing(options: Omit<SlotRing, 'control' | 'data' | 'digests'>): SlotRing {
  const { slots, blocks, blockSize, digestSize } = options;
  return {
    ...options,
    control: new SharedArrayBuffer((slots * slotFields + 2) * 4),
    data: new SharedArrayBuffer(slots * HashWindow.bytes(blocks, blockSize)),
    digests: new SharedArrayBuffer(slots * blocks * digestSize),
  };
}

/** What one thread needs to work on the ring. */
export class SlotAccess {
  readonly ring: SlotRing;
  readonly #control: Int32Array;
  readonly #digests: Buffer;
  readonly #layout: DigestLayout;
  readonly #windows: readonly HashWindow[];

  constructor(ring: SlotRing) {
    this.ring = ring;
    this.#control = new Int32Array(ring.control);
    this.#digests = Buffer.from(ring.digests);
    const { digestSize, blocks, blockSize, hashing } = ring;
    this.#layout = {
      digestSize,
      digestStride: digestSize,
      digestsPerBlock: blocks,
      hashBlockSize: blocks * digestSize,
    };
    const bytes = HashWindow.bytes(blocks, blockSize);
    this.#windows = Array.from({ length: ring.slots }, (_, slot) => {
      const memory = { buffer: ring.data, offset: slot * bytes };
      return new HashWindow({ hashing, blockSize, blocks, memory });
    });
  }

  window(slot: number): HashWindow {
    const window = this.#windows[slot];
    if (window === undefined) throw new RangeError(`there is no slot ${slot}`);
    return window;
  }

  /** Digests of a slot, one after another. */
  digests(slot: number): Buffer {
    const size = this.#layout.hashBlockSize;
    return this.#digests.subarray(slot * size, (slot + 1) * size);
  }

  state(slot: number): number {
    return Atomics.load(this.#control, slot * slotFields);
  }

  /** Blocks in a slot that was offered. */
  count(slot: number): number {
    return Atomics.load(this.#control, slot * slotFields + 1);
  }

  /** Hands a filled slot to whoever comes first; `turn` says how often the ring went round before. */
  offer(slot: number, count: number, turn: number): void {
    Atomics.store(this.#control, slot * slotFields + 1, count);
    Atomics.store(this.#control, slot * slotFields + 2, turn);
    Atomics.store(this.#control, slot * slotFields, slotState.ready);
    Atomics.add(this.#control, this.#wakeAt, 1);
    Atomics.notify(this.#control, this.#wakeAt, 1);
  }

  /**
   * Hashes the slot unless somebody else does; whether it did.
   * @param from `failed` when the producer does what a thread could not.
   */
  tryHash(slot: number, from: number = slotState.ready): boolean {
    const { busy, failed, lost, owned } = slotState;
    const at = slot * slotFields;
    if (Atomics.compareExchange(this.#control, at, from, busy) !== from) return false;
    let after: number = failed;
    try {
      this.#copy(slot);
      after = lost;
      const run = { count: this.count(slot), first: 0, at: 0, layout: this.#layout };
      this.window(slot).digestInto(this.digests(slot), run);
      after = owned;
    } finally {
      Atomics.store(this.#control, at, after);
      Atomics.notify(this.#control, at);
    }
    return true;
  }

  /** Before hashing, which destroys the data. */
  #copy(slot: number): void {
    const { copyTo, slots, blocks, blockSize } = this.ring;
    if (copyTo === undefined) return;
    const turn = Atomics.load(this.#control, slot * slotFields + 2);
    const first = (turn * slots + slot) * blocks;
    const bytes = this.window(slot).data.subarray(0, this.count(slot) * blockSize);
    writeFully(copyTo.fd, bytes, copyTo.offset + first * blockSize);
  }

  /** Waits while somebody hashes the slot. Milliseconds; false when that took longer. */
  waitWhileBusy(slot: number, milliseconds: number): boolean {
    return Atomics.wait(this.#control, slot * slotFields, slotState.busy, milliseconds) !== 'timed-out';
  }

  /**
   * Tells the threads that nothing more comes, and takes back what they have not begun. They write to the
   * caller's file, so that what they have begun is waited for. Milliseconds a slot may take.
   */
  close(patience: number): void {
    const { owned, ready } = slotState;
    Atomics.store(this.#control, this.#wakeAt + 1, 1);
    Atomics.add(this.#control, this.#wakeAt, 1);
    Atomics.notify(this.#control, this.#wakeAt);
    for (let slot = 0; slot < this.ring.slots; slot += 1) {
      Atomics.compareExchange(this.#control, slot * slotFields, ready, owned);
      this.waitWhileBusy(slot, patience);
    }
  }

  /** Works until the ring is closed; for threads other than the producer's. */
  serve(): void {
    for (let next = 0; ;) {
      const seen = Atomics.load(this.#control, this.#wakeAt);
      if (Atomics.load(this.#control, this.#wakeAt + 1) === 1) return;
      let found = false;
      for (let step = 0; step < this.ring.slots; step += 1) {
        const slot = (next + step) % this.ring.slots;
        if (!this.#serveOne(slot)) continue;
        next = slot + 1;
        found = true;
        break;
      }
      if (!found) Atomics.wait(this.#control, this.#wakeAt, seen);
    }
  }

  /** What goes wrong here is the producer's to see: it finds the slot failed and does it again itself. */
  #serveOne(slot: number): boolean {
    try {
      return this.tryHash(slot);
    } catch {
      return true;
    }
  }

  get #wakeAt(): number {
    return this.ring.slots * slotFields;
  }
}
