/** A thread that does the file jobs it is sent, one after another. */

import { parentPort } from 'node:worker_threads';
import type { FormatErrorCode } from '@osguard/formats/bytes';
import { FormatError } from '@osguard/formats/bytes';
import type { FileJob, FileJobResult } from './file-job.ts';
import { runFileJob } from './file-job.ts';

/** Classes of errors do not survive the way between threads; what they say about themselves does. */
export type FileWorkerAnswer =
  | { readonly result: FileJobResult }
  | { readonly message: string; readonly code: string; readonly syscall: string }
  | { readonly message: string; readonly format: FormatErrorCode };

parentPort?.on('message', (job: FileJob) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(answer(job));
});

function answer(job: FileJob): FileWorkerAnswer {
  try {
    return { result: runFileJob(job) };
  } catch (error) {
    if (error instanceof FormatError) return { message: error.message, format: error.code };
    if (error instanceof Error && 'code' in error && 'syscall' in error) {
      return { message: error.message, code: String(error.code), syscall: String(error.syscall) };
    }
    throw error;
  }
}
