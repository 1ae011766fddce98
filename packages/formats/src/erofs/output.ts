/** Strictly sequential output in large writes: the sink sees one pass over the image and never a small piece. */

export interface ErofsSink {
  /**
   * Takes `bytes` at `offset`. Offsets grow without a gap, save for one last write of the image's head at 0.
   * The bytes are only valid during the call: write or copy them.
   */
  write(offset: number, bytes: Uint8Array): void;
}

/** A sink that has memory of its own for the next bytes, which saves a copy. */
export interface ErofsDirectSink extends ErofsSink {
  /** Where the next bytes go; never empty. Stays the same until bytes are committed. */
  space(): Uint8Array;
  /** Says that this many bytes of the space are filled. When the space was larger, what is behind them stays as it is. */
  commit(length: number): void;
}

export class SequentialOutput {
  readonly #sink: ErofsSink;
  readonly #direct: ErofsDirectSink | undefined;
  readonly #buffer: Uint8Array;
  #flushed = 0;
  #used = 0;

  /** @param buffer what bytes are gathered in; a direct sink needs none */
  constructor(sink: ErofsSink | ErofsDirectSink, buffer: Uint8Array) {
    this.#sink = sink;
    this.#direct = 'space' in sink ? sink : undefined;
    this.#buffer = buffer;
  }

  /** Bytes written so far. */
  get position(): number {
    return this.#flushed + this.#used;
  }

  /** Room for up to `wanted` next bytes, at least one; its content is undefined until {@link commit}. */
  space(wanted: number): Uint8Array {
    if (this.#direct !== undefined) return this.#direct.space().subarray(0, wanted);
    if (this.#used === this.#buffer.length) this.flush();
    return this.#buffer.subarray(this.#used, Math.min(this.#buffer.length, this.#used + wanted));
  }

  /** Declares that `length` bytes of the last {@link space} are filled. */
  commit(length: number): void {
    this.#used += length;
    if (this.#direct === undefined) return;
    this.#direct.commit(length);
    this.#flushed += length;
    this.#used = 0;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const target = this.space(bytes.length - at);
      target.set(bytes.subarray(at, at + target.length));
      this.commit(target.length);
      at += target.length;
    }
  }

  zeros(length: number): void {
    for (let left = length; left > 0;) {
      const target = this.space(left);
      target.fill(0);
      this.commit(target.length);
      left -= target.length;
    }
  }

  /** Zero bytes up to the next multiple of `unit`. */
  align(unit: number): void {
    const over = this.position % unit;
    if (over !== 0) this.zeros(unit - over);
  }

  flush(): void {
    if (this.#used === 0) return;
    this.#sink.write(this.#flushed, this.#buffer.subarray(0, this.#used));
    this.#flushed += this.#used;
    this.#used = 0;
  }
}
