/** Metadata comes in pieces of a few bytes; a few pages of the image in memory make that one read per page. */

import type { ByteSource } from '../bytes/index.ts';
import { assertInside } from '../bytes/index.ts';

const pageSize = 64 * 1024;
const pageLimit = 64;

export class MetadataWindow {
  readonly #source: ByteSource;
  /** Least recently used first. */
  readonly #pages = new Map<number, Uint8Array>();
  /** Bytes of the file system, which may be less than the source has. */
  readonly size: number;

  constructor(source: ByteSource, size: number) {
    this.#source = source;
    this.size = size;
  }

  /** A view of bytes that stays valid and unchanged. @throws FormatError outside of the file system. */
  read(offset: number, length: number): Uint8Array {
    assertInside(this.size, offset, length);
    const index = Math.floor(offset / pageSize);
    const start = index * pageSize;
    if (offset + length > start + pageSize) return Uint8Array.from(this.#source.read(offset, length));
    return this.#page(index).subarray(offset - start, offset - start + length);
  }

  #page(index: number): Uint8Array {
    let page = this.#pages.get(index);
    if (page === undefined) {
      const start = index * pageSize;
      page = Uint8Array.from(this.#source.read(start, Math.min(pageSize, this.size - start)));
      const oldest = this.#pages.keys().next();
      if (this.#pages.size >= pageLimit && oldest.done !== true) this.#pages.delete(oldest.value);
    } else {
      this.#pages.delete(index);
    }
    this.#pages.set(index, page);
    return page;
  }
}
