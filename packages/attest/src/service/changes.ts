/**
 * What changed, told as it happens: the chain of decisions is read on from where one stopped, so that replicas, restarts
 * and slow readers miss nothing.
 */

import type { Decision, Store } from '../store/index.ts';

export interface Changes {
  /** Somebody wrote: look soon. */
  poke(): void;
  /** Called with every change after `after`, in order. @returns how to end it */
  subscribe(after: number, receive: (decisions: readonly Decision[]) => void): () => void;
  readonly subscribers: number;
  close(): void;
}

export interface ChangesOptions {
  readonly store: Store;
  /** Milliseconds between looks when nobody poked; other replicas do not. */
  readonly interval?: number;
  readonly onError: (error: unknown) => void;
}

interface Subscriber {
  cursor: number;
  readonly receive: (decisions: readonly Decision[]) => void;
}

/** Read at once. */
const page = 500;

export function createChanges({ store, interval = 1000, onError }: ChangesOptions): Changes {
  const subscribers = new Set<Subscriber>();
  let looking = false;
  let again = false;

  const look = async (): Promise<void> => {
    if (looking) {
      again = true;
      return;
    }
    looking = true;
    try {
      do {
        again = false;
        for (const subscriber of subscribers) await advance(subscriber);
      } while (again);
    } catch (error) {
      onError(error);
    } finally {
      looking = false;
    }
  };

  const advance = async (subscriber: Subscriber): Promise<void> => {
    for (;;) {
      const after = subscriber.cursor;
      const decisions = await store.decisions.list({ after, limit: page, changes: true });
      const last = decisions.at(-1);
      if (last === undefined || !subscribers.has(subscriber)) return;
      subscriber.cursor = last.seq;
      subscriber.receive(decisions);
      if (decisions.length < page) return;
    }
  };

  const timer = setInterval(() => void look(), interval);
  timer.unref();
  return {
    poke() {
      if (subscribers.size > 0) void look();
    },
    subscribe(after, receive) {
      const subscriber = { cursor: after, receive };
      subscribers.add(subscriber);
      void look();
      return () => subscribers.delete(subscriber);
    },
    get subscribers() {
      return subscribers.size;
    },
    close() {
      clearInterval(timer);
      subscribers.clear();
    },
  };
}
