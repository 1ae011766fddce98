/** A growing buffer for encoders: the counterpart of ByteReader. */

import { FormatError } from './error.ts';
import type { Endian } from './reader.ts';

export interface ByteWriterOptions {
  readonly endian?: Endian;
  /** First allocation in bytes; the buffer doubles from there. */
  readonly capacity?: number;
}

export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;
  readonly #little: boolean;

  constructor(options: ByteWriterOptions = {}) {
    this.#bytes = new Uint8Array(Math.max(options.capacity ?? 256, 16));
    this.#view = new DataView(this.#bytes.buffer);
    this.#little = options.endian !== 'big';
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#grow(1, value, 0xff);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2, value, 0xffff);
    this.#view.setUint16(at, value, this.#little);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4, value, 0xffff_ffff);
    this.#view.setUint32(at, value, this.#little);
    return this;
  }

  u64(value: bigint | number): this {
    const wide = BigInt(value);
    if (wide < 0n || wide > 0xffff_ffff_ffff_ffffn) {
      throw new FormatError('not-encodable', `${value} does not fit in 64 bits`);
    }
    const at = this.#grow(8, 0, 0);
    this.#view.setBigUint64(at, wide, this.#little);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length, 0, 0);
    this.#bytes.set(value, at);
    return this;
  }

  zeros(length: number): this {
    this.#grow(length, 0, 0);
    return this;
  }

  /** Zero bytes up to the next multiple of `alignment`. */
  align(alignment: number): this {
    const over = this.#length % alignment;
    return over === 0 ? this : this.zeros(alignment - over);
  }

  /** What was written, as a view that later writes do not change once the buffer has grown; copy to keep. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(length: number, value: number, max: number): number {
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new FormatError('not-encodable', `${value} does not fit in ${length * 8} bits`);
    }
    const at = this.#length;
    const needed = at + length;
    if (needed > this.#bytes.length) {
      const bigger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      bigger.set(this.#bytes.subarray(0, at));
      this.#bytes = bigger;
      this.#view = new DataView(bigger.buffer);
    }
    this.#length = needed;
    return at;
  }
}
