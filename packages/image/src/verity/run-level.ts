/** Runs a level job on all cores: this thread works too, others join for what is large enough to be worth it. */

import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { FormatError } from '@osguard/formats/bytes';
import type { VerityGeometry } from '@osguard/formats/verity';
import type { LevelFindings, LevelJob } from './level-job.ts';
import type { WorkerOutcome } from './level-worker.ts';
import { blocksDone, jobControlSize, runClaims, stopJob } from './level-job.ts';

export interface VerityWorkOptions {
  /** Threads in all; one per core unless given. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Bytes of data hashed so far, and in all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly helper?: LevelHelper;
}

/** A thread that is there already: takes part in a job until nothing of it is left. */
export type LevelHelper = (job: LevelJob) => HelpedLevel;

export interface HelpedLevel {
  readonly findings: Promise<LevelFindings>;
  /** Nothing is left: whoever has not begun need not begin. */
  readonly dismiss?: () => void;
}

export interface RunOptions {
  /** Threads in all, this one included; one per core unless given. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Source blocks done, called every few milliseconds at most. */
  readonly onBlocks?: (done: number) => void;
  /** Instead of threads that are started for the job. */
  readonly helper?: LevelHelper;
}

// A worker thread takes 40 to 100 ms to start; one thread hashes this much meanwhile. One that is there takes part in more.
const worthAThread = 64 * 1024 * 1024;
const worthAHelper = 4 * 1024 * 1024;

// The event loop gets its turn this often. Milliseconds.
const breath = 20;

/** @throws what any of the threads threw, after all of them have ended. */
export async function runLevel(
  given: Omit<LevelJob, 'control'>,
  options: RunOptions = {},
): Promise<LevelFindings> {
  const { threads = availableParallelism(), signal, onBlocks, helper = startWorker } = options;
  signal?.throwIfAborted();
  const job: LevelJob = { ...given, control: new SharedArrayBuffer(jobControlSize) };
  const size = job.source.blocks * job.source.blockSize;
  const helpers = Math.min(
    threads - 1,
    Math.floor(size / (helper === startWorker ? worthAThread : worthAHelper)),
  );
  // Handlers are attached before anything can fail; a failure is thrown once nobody uses the files any more.
  const helped = Array.from({ length: helpers }, () => helper(job));
  const others = helped.map((each) => each.findings);
  const all = Promise.allSettled(others);
  try {
    const own = await runHere(job, { signal, onBlocks });
    for (const { dismiss } of helped) dismiss?.();
    const findings = [own, ...(await Promise.all(others))];
    signal?.throwIfAborted();
    return merge(findings, job.maxFindings);
  } finally {
    stopJob(job.control);
    for (const { dismiss } of helped) dismiss?.();
    await all;
  }
}

async function runHere(
  job: LevelJob,
  { signal, onBlocks }: { signal: AbortSignal | undefined; onBlocks: RunOptions['onBlocks'] },
): Promise<LevelFindings> {
  const claims = runClaims(job);
  let breathed = performance.now();
  for (;;) {
    const step = claims.next();
    if (step.done === true) return step.value;
    if (performance.now() - breathed < breath) continue;
    onBlocks?.(blocksDone(job));
    await setImmediate();
    signal?.throwIfAborted();
    breathed = performance.now();
  }
}

function startWorker(job: LevelJob): HelpedLevel {
  return { findings: runWorker(job) };
}

async function runWorker(job: LevelJob): Promise<LevelFindings> {
  const worker = new Worker(new URL('./level-worker.ts', import.meta.url), { workerData: job });
  return new Promise((resolve, reject) => {
    worker.once('message', (outcome: WorkerOutcome) => {
      if ('findings' in outcome) resolve(outcome.findings);
      else reject(new FormatError(outcome.code, outcome.message));
    });
    worker.once('error', reject);
    // Without a message its claims are lost: that must never look like success. After one, this does nothing.
    worker.once('exit', (code) => reject(new Error(`a hashing thread ended with ${code} and no result`)));
  });
}

function merge(findings: readonly LevelFindings[], limit: number): LevelFindings {
  const inOrder = (lists: readonly (readonly number[])[]): number[] =>
    [...new Set(lists.flat())].sort((a, b) => a - b).slice(0, limit);
  return {
    bad: inOrder(findings.map(({ bad }) => bad)),
    badCount: findings.reduce((sum, { badCount }) => sum + badCount, 0),
    unclean: inOrder(findings.map(({ unclean }) => unclean)),
    unlike: inOrder(findings.map(({ unlike }) => unlike)),
  };
}

/** Progress is reported for level 0 only, which is nearly all of the work: the other levels pass no geometry. */
export function runOptions(
  { threads, signal, onProgress, helper }: VerityWorkOptions,
  geometry: VerityGeometry | undefined,
): RunOptions {
  return {
    ...(threads !== undefined && { threads }),
    ...(signal !== undefined && { signal }),
    ...(helper !== undefined && { helper }),
    ...(onProgress !== undefined &&
      geometry !== undefined && {
        onBlocks: (done: number) => onProgress(done * geometry.dataBlockSize, geometry.dataBytes),
      }),
  };
}
