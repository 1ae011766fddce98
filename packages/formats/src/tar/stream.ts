/** The reader as a loop over events, for chunks that are there and for chunks that come. */

import type { TarReadEntry } from './entry.ts';
import type { TarReaderOptions, TarSink } from './reader.ts';
import { createTarReader } from './reader.ts';

export type TarEvent =
  | { readonly type: 'entry'; readonly entry: TarReadEntry }
  /** A piece of the last entry's body: a view of the chunk it came in. */
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'entry-end'; readonly entry: TarReadEntry };

/** @throws FormatError, see createTarReader. */
export function* readTar(
  chunks: Iterable<Uint8Array>,
  options: TarReaderOptions = {},
): Generator<TarEvent, void, undefined> {
  const events = new Events();
  const reader = createTarReader(events, options);
  for (const chunk of chunks) {
    reader.push(chunk);
    yield* events.take();
  }
  reader.end();
}

/** The same over a stream. Events of one chunk are handed out before the next chunk is asked for. */
export async function* readTarStream(
  chunks: AsyncIterable<Uint8Array>,
  options: TarReaderOptions = {},
): AsyncGenerator<TarEvent, void, undefined> {
  const events = new Events();
  const reader = createTarReader(events, options);
  for await (const chunk of chunks) {
    reader.push(chunk);
    yield* events.take();
  }
  reader.end();
}

class Events implements TarSink {
  #list: TarEvent[] = [];

  entry(entry: TarReadEntry): void {
    this.#list.push({ type: 'entry', entry });
  }

  data(bytes: Uint8Array): void {
    this.#list.push({ type: 'data', bytes });
  }

  entryEnd(entry: TarReadEntry): void {
    this.#list.push({ type: 'entry-end', entry });
  }

  take(): readonly TarEvent[] {
    const list = this.#list;
    this.#list = [];
    return list;
  }
}
