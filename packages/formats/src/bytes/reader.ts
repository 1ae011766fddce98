/** A bounded cursor over bytes: every read is checked, every failure is a FormatError with its offset. */

import { FormatError } from './error.ts';

export type Endian = 'little' | 'big';

export interface ByteReaderOptions {
  /** Byte order of multi-byte integers; little-endian unless told otherwise. */
  readonly endian?: Endian;
  /** Added to reported offsets, for a window into a larger input. Bytes. */
  readonly base?: number;
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;
  readonly #base: number;
  #position = 0;

  constructor(bytes: Uint8Array, options: ByteReaderOptions = {}) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#little = options.endian !== 'big';
    this.#base = options.base ?? 0;
  }

  /** Offset of the next read, counted from the start of the whole input (base included). Bytes. */
  get offset(): number {
    return this.#base + this.#position;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#advance(1, what));
  }

  u16(what: string): number {
    return this.#view.getUint16(this.#advance(2, what), this.#little);
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#advance(4, what), this.#little);
  }

  u64(what: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, what), this.#little);
  }

  /** A 64-bit integer that must be usable as a size or offset: above 2^53 - 1 it is refused as malformed. */
  size64(what: string): number {
    const at = this.#advance(8, what);
    const first = this.#view.getUint32(at, this.#little);
    const second = this.#view.getUint32(at + 4, this.#little);
    // Two halves: a bigint would be an object for each.
    const value = this.#little ? second * 2 ** 32 + first : first * 2 ** 32 + second;
    if (value > Number.MAX_SAFE_INTEGER) {
      const exact = this.#view.getBigUint64(at, this.#little);
      throw new FormatError('malformed', `${what}: ${exact} is larger than any real size`, {
        offset: this.#base + at,
      });
    }
    return value;
  }

  /** A view (not a copy) of the next bytes. */
  bytes(length: number, what: string): Uint8Array {
    const at = this.#advance(length, what);
    return this.#bytes.subarray(at, at + length);
  }

  /** All bytes that are left. */
  rest(): Uint8Array {
    return this.bytes(this.remaining, 'rest');
  }

  skip(length: number, what: string): void {
    this.#advance(length, what);
  }

  /** Moves to an absolute position inside this reader's bytes (base not included). */
  seek(position: number, what: string): void {
    if (!Number.isSafeInteger(position) || position < 0 || position > this.#bytes.length) {
      throw new FormatError(
        'truncated',
        `${what}: position ${position} lies outside ${this.#bytes.length} bytes`,
        {
          offset: this.offset,
        },
      );
    }
    this.#position = position;
  }

  /** Throws unless every byte was read: trailing bytes are not part of any structure. */
  end(what: string): void {
    if (this.remaining !== 0) {
      throw new FormatError('malformed', `${what}: ${this.remaining} bytes too many`, {
        offset: this.offset,
      });
    }
  }

  #advance(length: number, what: string): number {
    const at = this.#position;
    if (!Number.isSafeInteger(length) || length < 0 || length > this.#bytes.length - at) {
      throw new FormatError('truncated', `${what}: needs ${length} bytes, ${this.remaining} are left`, {
        offset: this.offset,
      });
    }
    this.#position = at + length;
    return at;
  }
}
