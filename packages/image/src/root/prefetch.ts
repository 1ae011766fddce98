/** Streams that are opened before they are wanted, so that their producers work side by side. */

/** How many streams run before the one that is read. */
const streamsAhead = 3;
/** What each of them may hold in memory. Bytes. */
const aheadBytes = 8 * 1024 * 1024;

/** The streams in their order; the next few are already running while one is read. */
export function* prefetched(
  open: readonly (() => AsyncGenerator<Uint8Array>)[],
): Generator<AsyncIterable<Uint8Array>, void, undefined> {
  const waiting = open.values();
  const ahead: AsyncIterable<Uint8Array>[] = [];
  for (;;) {
    while (ahead.length <= streamsAhead) {
      const next = waiting.next();
      if (next.done === true) break;
      ahead.push(new Buffered(next.value()));
    }
    const current = ahead.shift();
    if (current === undefined) return;
    yield current;
  }
}

/** Takes from its source at once and holds what came until it is asked for. */
class Buffered implements AsyncIterable<Uint8Array> {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  #done = false;
  #failure: unknown;
  #changed = Promise.withResolvers<undefined>();

  constructor(source: AsyncIterable<Uint8Array>) {
    void this.#pump(source);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#size -= chunk.length;
        this.#notify();
        yield chunk;
      } else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#done) return;
      else await this.#changed.promise;
    }
  }

  async #pump(source: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of source) {
        this.#chunks.push(chunk);
        this.#size += chunk.length;
        this.#notify();
        while (this.#size > aheadBytes) await this.#changed.promise;
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#done = true;
    this.#notify();
  }

  #notify(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers<undefined>();
  }
}
