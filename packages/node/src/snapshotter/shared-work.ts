/** Work that several callers want at the same time is done once, and goes on as long as one of them waits for it. */

export interface WorkRequest<T> {
  readonly work: (signal: AbortSignal) => Promise<T>;
  /** Of this caller alone; the work hears of it when nobody else waits. */
  readonly signal?: AbortSignal | undefined;
}

interface Running<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

export class SharedWork<T> {
  readonly #running = new Map<string, Running<T>>();

  async run(key: string, request: WorkRequest<T>): Promise<T> {
    const { work, signal } = request;
    signal?.throwIfAborted();
    const known = this.#running.get(key);
    // Given up by everybody, but not at its end yet.
    if (known?.controller.signal.aborted === true) {
      await known.result.catch(() => undefined);
      return this.run(key, request);
    }
    const running = known ?? this.#begin(key, work);
    running.waiting += 1;
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = (): void => {
      running.waiting -= 1;
      if (running.waiting === 0) running.controller.abort(signal?.reason);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([running.result, left]);
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  }

  #begin(key: string, work: (signal: AbortSignal) => Promise<T>): Running<T> {
    const controller = new AbortController();
    const result = work(controller.signal).finally(() => this.#running.delete(key));
    // Whoever waits hears of a failure; when nobody does any more, nobody has to.
    result.catch(() => undefined);
    const running = { result, controller, waiting: 0 };
    this.#running.set(key, running);
    return running;
  }
}
