/**
 * Judging in worker threads: the thread that answers requests never computes long, and evidence that takes too long is
 * given up together with its thread.
 */

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Refused } from '../refusal.ts';
import type { Judgement, JudgeRequest, JudgeSettings } from './judge.ts';

export interface Judge {
  /** @throws Refused `busy` when too much is waiting, `internal` when it took too long. */
  judge(request: JudgeRequest): Promise<Judgement>;
  /** Counts for what is judged from now on. */
  configure(settings: JudgeSettings): void;
  /** Requests that wait or are under way. */
  readonly pending: number;
  close(): Promise<void>;
}

export interface JudgePoolOptions {
  /** One less than there are processors, at least one, unless told otherwise. */
  readonly threads?: number;
  /** Requests waiting or under way. */
  readonly most?: number;
  /** Milliseconds one judgement may take. */
  readonly patience?: number;
}

export type ToJudge =
  | { readonly type: 'settings'; readonly settings: JudgeSettings }
  | { readonly type: 'request'; readonly id: number; readonly request: JudgeRequest };

export type FromJudge =
  | { readonly id: number; readonly ok: true; readonly judgement: Judgement }
  | { readonly id: number; readonly ok: false; readonly message: string };

/**
 * MiB. Evidence is some 60 kB of short-lived text: with V8's own choice the young generation would grow to three times
 * as much for no gain. The old one bounds what hostile evidence can take; reaching it ends the thread, not the verifier.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 24, maxOldGenerationSizeMb: 512 };

interface Waiting {
  readonly resolve: (judgement: Judgement) => void;
  readonly reject: (error: unknown) => void;
  readonly since: number;
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
}

/** The same bytes with a buffer of their own. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  const whole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  return whole ? new Uint8Array(buffer) : new Uint8Array(bytes);
}

export function openJudgePool(settings: JudgeSettings, options: JudgePoolOptions = {}): Judge {
  const { threads = Math.max(1, availableParallelism() - 1), most = 500, patience = 10_000 } = options;
  let current = settings;
  let next = 0;
  let closed = false;
  const pool: Thread[] = [];

  const start = (index: number): void => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { resourceLimits });
    const thread: Thread = { worker, waiting: new Map() };
    worker.postMessage({ type: 'settings', settings: current } satisfies ToJudge);
    worker.on('message', (answer: FromJudge) => {
      const waiting = thread.waiting.get(answer.id);
      thread.waiting.delete(answer.id);
      if (answer.ok) waiting?.resolve(answer.judgement);
      else waiting?.reject(new Error(answer.message));
    });
    const end = (cause: unknown): void => {
      if (pool[index] !== thread) return;
      for (const { reject } of thread.waiting.values()) reject(new Refused('internal', { cause }));
      thread.waiting.clear();
      if (!closed) start(index);
    };
    worker.on('error', end);
    worker.on('exit', () => end(new Error('the judging thread ended')));
    worker.unref();
    pool[index] = thread;
  };
  for (let index = 0; index < threads; index += 1) start(index);

  // A thread works through its requests in order, so the oldest one tells whether it got stuck.
  const watch = setInterval(() => {
    const now = performance.now();
    for (const { worker, waiting } of pool) {
      const [oldest] = waiting.values();
      if (oldest !== undefined && now - oldest.since > patience) void worker.terminate();
    }
  }, patience / 4);
  watch.unref();

  const pending = (): number => pool.reduce((sum, { waiting }) => sum + waiting.size, 0);
  return {
    get pending() {
      return pending();
    },
    async judge(request) {
      if (closed || pending() >= most)
        throw new Refused('busy', { message: 'too much evidence is being judged' });
      const thread = pool.reduce((a, b) => (b.waiting.size < a.waiting.size ? b : a));
      const id = next;
      next += 1;
      return new Promise((resolve, reject) => {
        thread.waiting.set(id, { resolve, reject, since: performance.now() });
        // Given away, not copied: it is the largest thing that travels.
        const evidence = owned(request.evidence);
        thread.worker.postMessage(
          { type: 'request', id, request: { ...request, evidence } } satisfies ToJudge,
          [evidence.buffer],
        );
      });
    },
    configure(changed) {
      current = changed;
      for (const { worker } of pool)
        worker.postMessage({ type: 'settings', settings: changed } satisfies ToJudge);
    },
    async close() {
      closed = true;
      clearInterval(watch);
      await Promise.all(pool.map(async ({ worker }) => worker.terminate()));
    },
  };
}
