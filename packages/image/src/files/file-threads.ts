/** Threads that do file jobs while the caller does something else, and with the caller's help once it only waits. */

import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { FormatError } from '@osguard/formats/bytes';
import type { LevelFindings, LevelJob } from '../verity/level-job.ts';
import type { CompareJob, DigestJob, FileArea, FileJob, FileJobResult } from './file-job.ts';
import { runFileJob } from './file-job.ts';
import type { FileWorkerAnswer } from './file-worker.ts';

interface Waiting {
  readonly job: FileJob;
  readonly resolve: (result: FileJobResult) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  current: Waiting | undefined;
}

/** Larger stretches are cut, so that threads end together. Bytes. */
const share = 32 * 1024 * 1024;

export class FileThreads implements AsyncDisposable {
  readonly #most: number;
  readonly #threads: Thread[] = [];
  readonly #queue: Waiting[] = [];
  readonly #whole = new Map<string, Promise<{ readonly size: number; readonly sha256: string }>>();
  #broken: Error | undefined;
  #queued: (() => void) | undefined;

  /** @param most One per core unless given. */
  constructor(most: number = availableParallelism()) {
    this.#most = most;
  }

  /**
   * SHA-256 of a whole file, lower-case hex, and its size in bytes. Asked again it is not read again: what was begun
   * ahead is what a check gets. System errors reject.
   */
  sha256(path: string): Promise<{ readonly size: number; readonly sha256: string }> {
    const known = this.#whole.get(path);
    if (known !== undefined) return known;
    const begun = this.#sha256(path);
    // Begun ahead, nobody may ever ask for it.
    begun.catch(() => undefined);
    this.#whole.set(path, begun);
    return begun;
  }

  async #sha256(path: string): Promise<{ readonly size: number; readonly sha256: string }> {
    const { size } = statSync(path);
    const digests = await this.digests({ path, algorithms: ['sha256'], bodies: [[{ offset: 0, size }]] });
    return { size, sha256: digests[0]?.[0] ?? '' };
  }

  /** Digests per body, in the order of the algorithms, lower-case hex. System errors reject. */
  async digests(job: Omit<DigestJob, 'kind'>): Promise<readonly (readonly string[])[]> {
    return (await this.#run({ kind: 'digest', ...job })).digests;
  }

  /** Byte from the start of the stretch at which the two differ; undefined when they are the same. */
  async compare({ area, other }: Omit<CompareJob, 'kind'>): Promise<number | undefined> {
    return this.#shares(area, (part, skipped) =>
      this.#run({ kind: 'compare', area: part, other: { ...other, offset: other.offset + skipped } }),
    );
  }

  /** Byte from the start of the stretch that is not zero; undefined when all are. */
  async nonZero(area: FileArea): Promise<number | undefined> {
    return this.#shares(area, (part) => this.#run({ kind: 'zeros', area: part }));
  }

  /** A thread's part in a level of a hash tree: it ends when nothing of the level is left. @throws FormatError */
  async level(job: LevelJob): Promise<LevelFindings> {
    const { findings } = await this.#run({ kind: 'level', job }, 'first');
    if (findings === undefined) throw new Error('a thread answered another question');
    return findings;
  }

  /** Starts a thread before there is work for it. */
  start(): void {
    if (this.#threads.length < this.#most) this.#start();
  }

  /** Does work of the queue on this thread until `done` settles: whoever only waits leaves a processor idle. */
  async help<T>(done: Promise<T>): Promise<T> {
    let over = false;
    const end = (): void => {
      over = true;
      this.#queued?.();
    };
    done.then(end, end);
    for (;;) {
      // Messages of the threads, and what waits for them, come first.
      await setImmediate();
      if (over) return done;
      // A level has no end but that of all its blocks, and whoever asked for it works on it already.
      const place = this.#queue.findIndex(({ job }) => job.kind !== 'level');
      const [next] = place === -1 ? [] : this.#queue.splice(place, 1);
      if (next === undefined) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#queued = resolve;
        await promise;
        this.#queued = undefined;
        continue;
      }
      try {
        next.resolve(runFileJob(next.job));
      } catch (error) {
        next.reject(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new Error('the threads were stopped'));
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  async #shares(
    area: FileArea,
    run: (part: FileArea, skipped: number) => Promise<FileJobResult>,
  ): Promise<number | undefined> {
    const starts = Array.from({ length: Math.ceil(area.size / share) }, (_, index) => index * share);
    const found = await Promise.all(
      starts.map(async (start) => {
        const size = Math.min(share, area.size - start);
        const { at } = await run({ ...area, offset: area.offset + start, size }, start);
        return at === undefined ? undefined : start + at;
      }),
    );
    return found.find((at) => at !== undefined);
  }

  #run(job: FileJob, place: 'first' | 'last' = 'last'): Promise<FileJobResult> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const { promise, resolve, reject } = Promise.withResolvers<FileJobResult>();
    if (place === 'first') this.#queue.unshift({ job, resolve, reject });
    else this.#queue.push({ job, resolve, reject });
    this.#queued?.();
    const idle = this.#threads.find(({ current }) => current === undefined);
    if (idle !== undefined) this.#next(idle);
    else if (this.#threads.length < this.#most) this.#next(this.#start());
    return promise;
  }

  #start(): Thread {
    const worker = new Worker(new URL('./file-worker.ts', import.meta.url));
    const thread: Thread = { worker, current: undefined };
    worker.on('message', (answer: FileWorkerAnswer) => {
      const { current } = thread;
      thread.current = undefined;
      if ('result' in answer) current?.resolve(answer.result);
      else if ('format' in answer) current?.reject(new FormatError(answer.format, answer.message));
      else current?.reject(Object.assign(new Error(answer.message), answer));
      this.#next(thread);
    });
    worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    // Without an answer the work is lost: that must never look like success.
    worker.on('exit', (code) => this.#fail(new Error(`a thread for files ended with ${code}`)));
    this.#threads.push(thread);
    return thread;
  }

  #next(thread: Thread): void {
    const next = this.#queue.shift();
    if (next === undefined) return;
    thread.current = next;
    thread.worker.postMessage(next.job);
  }

  #fail(error: Error): void {
    this.#broken ??= error;
    for (const waiting of this.#queue.splice(0)) waiting.reject(error);
    for (const thread of this.#threads) {
      thread.current?.reject(error);
      thread.current = undefined;
    }
  }
}
