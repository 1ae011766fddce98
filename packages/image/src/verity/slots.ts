/**
 * Memory shared by the thread that produces data and the threads that hash it: a ring of slots, each one run of
 * blocks in and its digests out. Who may touch a slot is said by its state alone.
 */

import type { BlockHashing, DigestLayout } from './hash-window.ts';
import { HashWindow } from './hash-window.ts';

/** The states of a slot; only the compare-and-exchange from `ready` to `busy` has more than one contender. */
export const slotState = {
  /** The producer's: empty, being filled, or with digests it may collect. */
  owned: 0,
  /** Full, and nobody hashes it yet. */
  ready: 1,
  /** A thread hashes it. */
  busy: 2,
} as const;

/** Plain data: it is sent to the threads. */
export interface SlotRing {
  readonly hashing: BlockHashing;
  readonly digestSize: number;
  /** Bytes of one block. */
  readonly blockSize: number;
  readonly slots: number;
  /** Blocks in a slot. */
  readonly blocks: number;
  /** Per slot its state and the number of blocks in it; then a counter that wakes the threads, and whether the ring is closed. */
  readonly control: SharedArrayBuffer;
  readonly data: SharedArrayBuffer;
  readonly digests: SharedArrayBuffer;
}

export function newSlotRing(options: Omit<SlotRing, 'control' | 'data' | 'digests'>): SlotRing {
  const { slots, blocks, blockSize, digestSize } = options;
  return {
    ...options,
    control: new SharedArrayBuffer((slots * 2 + 2) * 4),
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
    return Atomics.load(this.#control, slot * 2);
  }

  /** Blocks in a slot that was offered. */
  count(slot: number): number {
    return Atomics.load(this.#control, slot * 2 + 1);
  }

  /** Hands a filled slot to whoever comes first. */
  offer(slot: number, count: number): void {
    Atomics.store(this.#control, slot * 2 + 1, count);
    Atomics.store(this.#control, slot * 2, slotState.ready);
    Atomics.add(this.#control, this.#wakeAt, 1);
    Atomics.notify(this.#control, this.#wakeAt, 1);
  }

  /** Hashes the slot unless somebody else does; whether it did. */
  tryHash(slot: number): boolean {
    const { ready, busy } = slotState;
    if (Atomics.compareExchange(this.#control, slot * 2, ready, busy) !== ready) return false;
    this.#hash(slot);
    Atomics.store(this.#control, slot * 2, slotState.owned);
    Atomics.notify(this.#control, slot * 2);
    return true;
  }

  #hash(slot: number): void {
    const run = { count: this.count(slot), first: 0, at: 0, layout: this.#layout };
    this.window(slot).digestInto(this.digests(slot), run);
  }

  /** Waits until the slot is the producer's again. Milliseconds; false when that took longer. */
  waitFor(slot: number, milliseconds: number): boolean {
    const { owned, busy } = slotState;
    while (this.state(slot) !== owned) {
      if (Atomics.wait(this.#control, slot * 2, busy, milliseconds) === 'timed-out') return false;
    }
    return true;
  }

  /** Tells the threads that nothing more comes. */
  close(): void {
    Atomics.store(this.#control, this.#wakeAt + 1, 1);
    Atomics.add(this.#control, this.#wakeAt, 1);
    Atomics.notify(this.#control, this.#wakeAt);
  }

  /** Works until the ring is closed; for threads other than the producer's. */
  serve(): void {
    for (let next = 0; ;) {
      const seen = Atomics.load(this.#control, this.#wakeAt);
      if (Atomics.load(this.#control, this.#wakeAt + 1) === 1) return;
      let found = false;
      for (let step = 0; step < this.ring.slots; step += 1) {
        const slot = (next + step) % this.ring.slots;
        if (!this.tryHash(slot)) continue;
        next = slot + 1;
        found = true;
        break;
      }
      if (!found) Atomics.wait(this.#control, this.#wakeAt, seen);
    }
  }

  get #wakeAt(): number {
    return this.ring.slots * 2;
  }
}
