/** The digests of data whose size is not known yet, in pieces that are never copied, and the levels above them. */

import type { VerityGeometry } from '@osguard/formats/verity';
import type { BlockHashing, DigestLayout } from './hash-window.ts';
import { HashWindow, placeOfDigest } from './hash-window.ts';

// A multiple of every hash block size.
const pieceSize = 1024 * 1024;

/** A level that grows at its end. */
export class GrowingLevel {
  readonly #layout: DigestLayout;
  readonly #pieces: Buffer[] = [];
  #count = 0;

  constructor(layout: DigestLayout) {
    this.#layout = layout;
  }

  /** Digests so far. */
  get count(): number {
    return this.#count;
  }

  /** Adds `count` digests that lie one after another. */
  append(digests: Uint8Array, count: number): void {
    const { digestSize } = this.#layout;
    for (let index = 0; index < count; index += 1) {
      this.#set(this.#count + index, digests.subarray(index * digestSize, (index + 1) * digestSize));
    }
    this.#count += count;
  }

  /** Exchanges one digest. */
  replace(index: number, digest: Uint8Array): void {
    if (index >= this.#count) throw new RangeError(`digest ${index} of ${this.#count}`);
    this.#set(index, digest);
  }

  digest(index: number): Uint8Array {
    const at = placeOfDigest(this.#layout, index);
    const piece = this.#pieces[Math.floor(at / pieceSize)];
    if (piece === undefined || index >= this.#count)
      throw new RangeError(`digest ${index} of ${this.#count}`);
    return piece.subarray(at % pieceSize, (at % pieceSize) + this.#layout.digestSize);
  }

  /** The hash blocks of the level, in pieces of whole blocks. */
  pieces(): Uint8Array[] {
    const { digestsPerBlock, hashBlockSize } = this.#layout;
    const size = Math.ceil(this.#count / digestsPerBlock) * hashBlockSize;
    return this.#pieces.map((piece, index) => piece.subarray(0, size - index * pieceSize));
  }

  #set(index: number, digest: Uint8Array): void {
    const at = placeOfDigest(this.#layout, index);
    const number = Math.floor(at / pieceSize);
    // Pieces are zeroed: what lies beside the digests has to be zero.
    while (this.#pieces.length <= number) this.#pieces.push(Buffer.alloc(pieceSize));
    this.#pieces[number]?.set(digest, at % pieceSize);
  }
}

/** The level above the hash blocks in `pieces`. */
export function levelAbove(
  pieces: readonly Uint8Array[],
  hashing: BlockHashing,
  layout: DigestLayout,
): GrowingLevel {
  const { hashBlockSize, digestSize } = layout;
  const blocks = Math.max(1, (64 * 1024) / hashBlockSize);
  const window = new HashWindow({ hashing, blockSize: hashBlockSize, blocks });
  const digests = Buffer.alloc(blocks * digestSize);
  const plain = {
    digestSize,
    digestStride: digestSize,
    digestsPerBlock: blocks,
    hashBlockSize: digests.length,
  };
  const level = new GrowingLevel(layout);
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += window.data.length) {
      const run = piece.subarray(at, at + window.data.length);
      window.data.set(run);
      const count = run.length / hashBlockSize;
      window.digestInto(digests, { count, first: 0, at: 0, layout: plain });
      level.append(digests, count);
    }
  }
  return level;
}

/** All levels from the top down, and the digest of the top. */
export function finishLevels(
  lowest: GrowingLevel,
  options: { readonly geometry: VerityGeometry; readonly hashing: BlockHashing },
): { readonly pieces: readonly Uint8Array[]; readonly top: Uint8Array } {
  const { geometry, hashing } = options;
  let level = lowest;
  const levels: Uint8Array[][] = [];
  for (const { index } of geometry.levels) {
    const pieces = level.pieces();
    levels.unshift(pieces);
    level = levelAbove(pieces, hashing, geometry);
    if (level.count !== geometry.levels[index]?.blocks)
      throw new Error(`level ${index} has ${level.count} blocks`);
  }
  return { pieces: levels.flat(), top: level.digest(0) };
}
