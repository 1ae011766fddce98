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
  /** False while no thread can judge. */
  readonly ready: boolean;
  close(): Promise<void>;
}

export interface JudgePoolOptions {
  /** One less than there are processors, at least one, unless told otherwise. */
  readonly threads?: number;
  /** Requests waiting or under way. */
  readonly most?: number;
  /** Milliseconds one judgement may take. */
  readonly patience?: number;
  /** Milliseconds until a thread that ended is started anew: at first, doubled as long as it cannot judge, at most. */
  readonly restart?: { readonly first: number; readonly most: number };
  /** Told of each thread that ended, and when the next one starts. */
  readonly onEnd?: (error: unknown, next: { readonly inMilliseconds: number }) => void;
  /** Stands in for `worker.ts`. */
  readonly program?: URL;
}

export type ToJudge =
  | { readonly type: 'settings'; readonly settings: JudgeSettings }
  | { readonly type: 'request'; readonly id: number; readonly request: JudgeRequest };

export type FromJudge =
  /** The settings sent last count. */
  | { readonly type: 'prepared' }
  | { readonly type: 'answer'; readonly id: number; readonly ok: true; readonly judgement: Judgement }
  | { readonly type: 'answer'; readonly id: number; readonly ok: false; readonly message: string };

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
  prepared: boolean;
}

/** The same bytes with a buffer of their own. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  const whole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  return whole ? new Uint8Array(buffer) : new Uint8Array(bytes);
}

export function openJudgePool(settings: JudgeSettings, options: JudgePoolOptions = {}): Judge {
  const { threads = Math.max(1, availableParallelism() - 1), most = 500, patience = 10_000 } = options;
  const {
    restart = { first: 100, most: 30_000 },
    onEnd,
    program = new URL('./worker.ts', import.meta.url),
  } = options;
  let current = settings;
  let next = 0;
  let closed = false;
  const pool = new Map<number, Thread>();
  /** Threads at this place that ended before they could judge, one after the other. */
  const failures = new Map<number, number>();
  const restarts = new Set<NodeJS.Timeout>();

  const start = (index: number): void => {
    const worker = new Worker(program, { resourceLimits });
    const thread: Thread = { worker, waiting: new Map(), prepared: false };
    worker.postMessage({ type: 'settings', settings: current } satisfies ToJudge);
    worker.on('message', (answer: FromJudge) => {
      if (answer.type === 'prepared') {
        thread.prepared = true;
        failures.delete(index);
        return;
      }
      const waiting = thread.waiting.get(answer.id);
      thread.waiting.delete(answer.id);
      if (answer.ok) waiting?.resolve(answer.judgement);
      else waiting?.reject(new Error(answer.message));
    });
    const end = (cause: unknown): void => {
      if (pool.get(index) !== thread) return;
      pool.delete(index);
      for (const { reject } of thread.waiting.values()) reject(new Refused('internal', { cause }));
      thread.waiting.clear();
      if (closed) return;
      const failed = failures.get(index) ?? 0;
      failures.set(index, failed + 1);
      // Evidence that ends a thread costs the others little; settings that do must not keep the processors busy.
      const inMilliseconds = Math.min(restart.first * 2 ** failed, restart.most);
      onEnd?.(cause, { inMilliseconds });
      const timer = setTimeout(() => {
        restarts.delete(timer);
        start(index);
      }, inMilliseconds);
      timer.unref();
      restarts.add(timer);
    };
    worker.on('error', end);
    worker.on('exit', () => end(new Error('the judging thread ended')));
    worker.unref();
    pool.set(index, thread);
  };
  for (let index = 0; index < threads; index += 1) start(index);

  // A thread works through its requests in order, so the oldest one tells whether it got stuck.
  const watch = setInterval(() => {
    const now = performance.now();
    for (const { worker, waiting } of pool.values()) {
      const [oldest] = waiting.values();
      if (oldest !== undefined && now - oldest.since > patience) void worker.terminate();
    }
  }, patience / 4);
  watch.unref();

  const all = (): readonly Thread[] => [...pool.values()];
  const pending = (): number => all().reduce((sum, { waiting }) => sum + waiting.size, 0);
  return {
    get pending() {
      return pending();
    },
    get ready() {
      return all().some(({ prepared }) => prepared);
    },
    async judge(request) {
      if (closed || pending() >= most)
        throw new Refused('busy', { message: 'too much evidence is being judged' });
      const [first, ...rest] = all();
      if (first === undefined) throw new Refused('unavailable', { message: 'no thread can judge evidence' });
      const thread = rest.reduce((a, b) => (b.waiting.size < a.waiting.size ? b : a), first);
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
      for (const { worker } of pool.values())
        worker.postMessage({ type: 'settings', settings: changed } satisfies ToJudge);
    },
    async close() {
      closed = true;
      clearInterval(watch);
      for (const timer of restarts) clearTimeout(timer);
      await Promise.all(all().map(async ({ worker }) => worker.terminate()));
    },
  };
}
