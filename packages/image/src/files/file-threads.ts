/** Threads that do file jobs while the caller does something else, and with the caller's help once it only waits. */

import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { FormatError } from '@osguard/formats/bytes';
import type { HelpedLevel } from '../verity/run-level.ts';
import type { LevelFindings, LevelJob } from '../verity/level-job.ts';
import type { CompareJob, DigestJob, FileArea, FileJob, FileJobResult } from './file-job.ts';
import { claimJob, runFileJob } from './file-job.ts';
import type { FileWorkerAnswer, FileWorkerQuestion } from './file-worker.ts';

interface Waiting {
  readonly question: FileWorkerQuestion;
  readonly resolve: (result: FileJobResult) => void;
  readonly reject: (error: Error) => void;
}

/** Larger stretches are cut, so that threads end together. Bytes. */
const share = 32 * 1024 * 1024;

const nothingFound: LevelFindings = { bad: [], badCount: 0, unclean: [], unlike: [] };

/**
 * Every thread is told of every job, and does what nobody else has claimed: none waits for this thread, which may be busy
 * for a tenth of a second, to be given its next one.
 */
export class FileThreads implements AsyncDisposable {
  readonly #most: number;
  readonly #threads: Worker[] = [];
  /** In the order in which they were asked for. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #whole = new Map<string, Promise<{ readonly size: number; readonly sha256: string }>>();
  #asked = 0;
  #broken: Error | undefined;
  #wake: (() => void) | undefined;

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
    return (await this.#ask({ kind: 'digest', ...job }).result).digests;
  }

  /** Byte from the start of the stretch at which the two differ; undefined when they are the same. */
  async compare({ area, other }: Omit<CompareJob, 'kind'>): Promise<number | undefined> {
    return this.#shares(area, (part, skipped) => ({
      kind: 'compare',
      area: part,
      other: { ...other, offset: other.offset + skipped },
    }));
  }

  /** Byte from the start of the stretch that is not zero; undefined when all are. */
  async nonZero(area: FileArea): Promise<number | undefined> {
    return this.#shares(area, (part) => ({ kind: 'zeros', area: part }));
  }

  /** A thread's part in a level of a hash tree: it ends when nothing of the level is left. FormatError rejects. */
  level(job: LevelJob): HelpedLevel {
    const { id, result } = this.#ask({ kind: 'level', job });
    return {
      findings: result.then(({ findings }) => {
        if (findings === undefined) throw new Error('a thread answered another question');
        return findings;
      }),
      dismiss: () => {
        const waiting = this.#waiting.get(id);
        if (waiting === undefined || !claimJob(waiting.question.claim)) return;
        this.#waiting.delete(id);
        waiting.resolve({ digests: [], findings: nothingFound });
      },
    };
  }

  /** Starts a thread before there is work for it. */
  start(): void {
    if (this.#threads.length < this.#most) this.#start();
  }

  /** Does jobs on this thread, too, until `done` settles: whoever only waits leaves a processor idle. */
  async help<T>(done: Promise<T>): Promise<T> {
    let over = false;
    const end = (): void => {
      over = true;
      this.#wake?.();
    };
    done.then(end, end);
    for (;;) {
      // Answers of the threads, and what waits for them, come first.
      await setImmediate();
      if (over) return done;
      const next = this.#claim();
      if (next === undefined) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
        this.#wake = undefined;
        continue;
      }
      try {
        next.resolve(runFileJob(next.question.job));
      } catch (error) {
        next.reject(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  /** The oldest job nobody does; no level, on which whoever asked for it works already. */
  #claim(): Waiting | undefined {
    for (const [id, waiting] of this.#waiting) {
      const { job, claim } = waiting.question;
      if (job.kind === 'level' || !claimJob(claim)) continue;
      this.#waiting.delete(id);
      return waiting;
    }
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new Error('the threads were stopped'));
    await Promise.all(this.#threads.map((worker) => worker.terminate()));
  }

  async #shares(
    area: FileArea,
    jobOf: (part: FileArea, skipped: number) => FileJob,
  ): Promise<number | undefined> {
    const starts = Array.from({ length: Math.ceil(area.size / share) }, (_, index) => index * share);
    const found = await Promise.all(
      starts.map(async (start) => {
        const size = Math.min(share, area.size - start);
        const part = { ...area, offset: area.offset + start, size };
        const { at } = await this.#ask(jobOf(part, start)).result;
        return at === undefined ? undefined : start + at;
      }),
    );
    return found.find((at) => at !== undefined);
  }

  #ask(job: FileJob): { readonly id: number; readonly result: Promise<FileJobResult> } {
    this.#asked += 1;
    const id = this.#asked;
    if (this.#broken !== undefined) return { id, result: Promise.reject(this.#broken) };
    const { promise, resolve, reject } = Promise.withResolvers<FileJobResult>();
    const question = { id, job, claim: new Int32Array(new SharedArrayBuffer(4)) };
    // No more threads than jobs.
    if (this.#threads.length < Math.min(this.#most, this.#waiting.size + 1)) this.#start();
    this.#waiting.set(id, { question, resolve, reject });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    for (const thread of this.#threads) thread.postMessage(question);
    this.#wake?.();
    return { id, result: promise };
  }

  #start(): void {
    const worker = new Worker(new URL('./file-worker.ts', import.meta.url));
    worker.on('message', ({ id, ...answer }: FileWorkerAnswer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if ('result' in answer) waiting?.resolve(answer.result);
      else if ('format' in answer) waiting?.reject(new FormatError(answer.format, answer.message));
      else waiting?.reject(Object.assign(new Error(answer.message), answer));
    });
    worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    // Without an answer the work is lost: that must never look like success.
    worker.on('exit', (code) => this.#fail(new Error(`a thread for files ended with ${code}`)));
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    for (const { question } of this.#waiting.values()) worker.postMessage(question);
    this.#threads.push(worker);
  }

  #fail(error: Error): void {
    this.#broken ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}
