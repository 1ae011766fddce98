/** A thread that takes part in a {@link LevelJob} until no claims are left, and then ends. */

import { parentPort, workerData } from 'node:worker_threads';
import type { FormatErrorCode } from '@osguard/formats/bytes';
import { FormatError } from '@osguard/formats/bytes';
import type { LevelFindings, LevelJob } from './level-job.ts';
import { runClaims } from './level-job.ts';

/** What the thread says at its end; classes of errors do not survive the way between threads. */
export type WorkerOutcome =
  | { readonly findings: LevelFindings }
  | { readonly code: FormatErrorCode; readonly message: string };

function work(job: LevelJob): WorkerOutcome {
  try {
    const claims = runClaims(job);
    for (;;) {
      const step = claims.next();
      if (step.done === true) return { findings: step.value };
    }
  } catch (error) {
    if (error instanceof FormatError) return { code: error.code, message: error.message };
    throw error;
  }
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- sent by run-level.ts and nobody else
const outcome = work(workerData as LevelJob);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(outcome);
