/**
 * Where zstd frames end: RFC 8878, section 3.1. Streams are any number of frames, data and such to be skipped, one
 * behind the other. Node's decoder stops after the first frame when the same write goes on behind it, without an
 * error; so what it is given has to be cut at the ends of frames.
 */

import { FormatError } from '../bytes/index.ts';

const dataMagic = 0xfd2f_b528;
const magicBytes = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd);
const skippableMagic = 0x184d_2a50;

type Expecting =
  | 'magic'
  | 'skip-size'
  | 'descriptor'
  | 'header'
  | 'block-header'
  | 'block'
  | 'checksum'
  | 'skipped';

/** A stream of frames, cut so that no piece has bytes of two of them. Skippable frames are left out. */
export class ZstdFrames {
  #expecting: Expecting = 'magic';
  /** Bytes of what is expected that are still to come; of small fields, their value and size so far. */
  #left = 4;
  #value = 0;
  #taken = 0;
  #checksum = false;
  #lastBlock = false;
  #offset = 0;

  /**
   * Views of `bytes`, and magic numbers.
   * @throws FormatError `malformed` for what is no zstd frame
   */
  *push(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    let from = 0;
    for (let at = 0; at < bytes.length;) {
      const field = this.#expecting;
      const used = this.#take(bytes, at);
      at += used;
      this.#offset += used;
      const begins = field === 'magic' && this.#expecting === 'descriptor';
      if (begins) {
        yield magicBytes;
        from = at;
      } else if (field === 'magic' || field === 'skip-size' || field === 'skipped') {
        from = at;
      } else if (this.#expecting === 'magic') {
        yield bytes.subarray(from, at);
        from = at;
      }
    }
    if (from < bytes.length) yield bytes.subarray(from);
  }

  /** @throws FormatError `truncated` inside a frame */
  end(): void {
    if (this.#expecting === 'magic' && this.#taken === 0) return;
    throw new FormatError('truncated', 'the stream ends inside a zstd frame', { offset: this.#offset });
  }

  #take(bytes: Uint8Array, at: number): number {
    if (this.#expecting === 'block' || this.#expecting === 'header' || this.#expecting === 'skipped') {
      const used = Math.min(this.#left, bytes.length - at);
      this.#left -= used;
      if (this.#left === 0) this.#passed();
      return used;
    }
    const byte = bytes[at] ?? 0;
    this.#value += byte * 2 ** (8 * this.#taken);
    this.#taken += 1;
    this.#left -= 1;
    if (this.#left === 0) this.#field(this.#value);
    return 1;
  }

  #expect(what: Expecting, bytes: number): void {
    this.#expecting = what;
    this.#left = bytes;
    this.#value = 0;
    this.#taken = 0;
    if (bytes === 0) this.#passed();
  }

  /** All bytes of something whose content does not matter here. */
  #passed(): void {
    if (this.#expecting === 'skipped') this.#expect('magic', 4);
    else if (this.#expecting === 'block' && this.#lastBlock) this.#endFrame();
    else this.#expect('block-header', 3);
  }

  #endFrame(): void {
    if (this.#checksum) this.#expect('checksum', 4);
    else this.#expect('magic', 4);
  }

  #field(value: number): void {
    switch (this.#expecting) {
      case 'magic':
        if (value === dataMagic) this.#expect('descriptor', 1);
        else if (value >= skippableMagic && value < skippableMagic + 16) this.#expect('skip-size', 4);
        else throw this.#malformed('no zstd frame');
        return;
      case 'skip-size':
        this.#expect('skipped', value);
        return;
      case 'descriptor':
        this.#descriptor(value);
        return;
      case 'block-header':
        this.#blockHeader(value);
        return;
      case 'checksum':
        this.#expect('magic', 4);
        return;
      case 'header':
      case 'block':
      case 'skipped':
        throw new Error(`${this.#expecting} has no value`);
    }
  }

  #descriptor(value: number): void {
    const singleSegment = (value & 0x20) !== 0;
    if ((value & 0x08) !== 0) throw this.#malformed('reserved bit of a frame header');
    this.#checksum = (value & 0x04) !== 0;
    const dictionary = [0, 1, 2, 4][value & 3] ?? 0;
    const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][value >> 6] ?? 0;
    this.#expect('header', (singleSegment ? 0 : 1) + dictionary + contentSize);
  }

  #blockHeader(value: number): void {
    this.#lastBlock = (value & 1) === 1;
    const type = (value >> 1) & 3;
    if (type === 3) throw this.#malformed('reserved block type');
    // A run is one byte, however long.
    this.#expect('block', type === 1 ? 1 : value >> 3);
  }

  #malformed(what: string): FormatError {
    return new FormatError('malformed', what, { offset: this.#offset });
  }
}
