/**
 * One fuzz target in a process of its own, started by fuzz-main. Before each input its number goes into the
 * progress file, so that the parent can name the input that hung, crashed or used up this process.
 */

import { openSync, readFileSync, writeSync } from 'node:fs';
import type { FuzzTarget } from './fuzz.ts';
import { FuzzFailure, runFuzz, runOne } from './fuzz.ts';

export interface WorkerJob {
  /** Absolute path of the `.fuzz.ts` file. */
  readonly file: string;
  readonly milliseconds: number;
  readonly seed: number;
  readonly slowest: number;
  /** Absolute path. */
  readonly progress: string;
  /** Run the input in this file and nothing else. */
  readonly input?: string;
}

/** What the worker prints, as its last line. */
export type WorkerReport =
  | { readonly outcome: 'passed'; readonly inputs: number; readonly rejected: number }
  | { readonly outcome: 'failed'; readonly message: string };

async function work(job: WorkerJob): Promise<WorkerReport> {
  const { target } = (await import(job.file)) as { target: FuzzTarget };
  const progress = openSync(job.progress, 'w');
  const counter = new Uint32Array(1);
  try {
    if (job.input !== undefined) {
      const accepted = runOne(target, readFileSync(job.input), job.slowest);
      return { outcome: 'passed', inputs: 1, rejected: accepted ? 0 : 1 };
    }
    const report = runFuzz(target, {
      ...job,
      onInput: (index) => {
        counter[0] = index;
        writeSync(progress, counter, 0, 4, 0);
      },
    });
    return { outcome: 'passed', ...report };
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error;
    return { outcome: 'failed', message: error.message };
  }
}

const report = await work(JSON.parse(process.argv[2] ?? '') as WorkerJob);
process.stdout.write(`\n${JSON.stringify(report)}\n`);
