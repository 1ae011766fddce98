/** A thread that does those of the file jobs it is told of which nobody else has begun, one after another. */

import { parentPort } from 'node:worker_threads';
import type { FormatErrorCode } from '@osguard/formats/bytes';
import { FormatError } from '@osguard/formats/bytes';
import type { FileJob, FileJobResult } from './file-job.ts';
import { claimJob, runFileJob } from './file-job.ts';

export interface FileWorkerQuestion {
  readonly id: number;
  readonly job: FileJob;
  /** Shared with all who are told of the job. */
  readonly claim: Int32Array;
}

/** Classes of errors do not survive the way between threads; what they say about themselves does. */
export type FileWorkerAnswer = { readonly id: number } & (
  | { readonly result: FileJobResult }
  | { readonly message: string; readonly code: string; readonly syscall: string }
  | { readonly message: string; readonly format: FormatErrorCode }
);

parentPort?.on('message', (question: FileWorkerQuestion) => {
  if (!claimJob(question.claim)) return;
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(answer(question));
});

function answer({ id, job }: FileWorkerQuestion): FileWorkerAnswer {
  try {
    return { id, result: runFileJob(job) };
  } catch (error) {
    if (error instanceof FormatError) return { id, message: error.message, format: error.code };
    if (error instanceof Error && 'code' in error && 'syscall' in error) {
      return { id, message: error.message, code: String(error.code), syscall: String(error.syscall) };
    }
    throw error;
  }
}
