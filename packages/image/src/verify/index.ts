/** Verification alone: whoever only verifies need not load what builds, and can begin to read while this is loaded. */

import { join, resolve } from 'node:path';
import type { FileThreads } from '../files/file-threads.ts';
import { verifyThreads } from './threads.ts';
import type { VerifyImageOptions, VerifyReport } from './verify.ts';

export type { FileThreads } from '../files/file-threads.ts';
export type { Check } from './checks.ts';
export type { VerifyImageOptions, VerifyReport } from './verify.ts';

/**
 * Starts a thread, and has it hash the boot image of a release folder before anything is known of that. A tenth of a
 * second goes into loading this program; a processor would have nothing to do meanwhile. Nothing is decided by it:
 * verification asks for the digests of what the manifest names.
 */
export function readAhead(target: string): FileThreads {
  const threads = verifyThreads();
  threads.start();
  // A disk alone has no such file; what is not there rejects, and nobody asks for it.
  void threads.sha256(join(resolve(target), 'uki.efi'));
  return threads;
}

/** @throws ImageError (`not-an-image`) when `target` is neither a release folder nor a file; system errors pass through. */
export async function verifyImage(target: string, options: VerifyImageOptions): Promise<VerifyReport> {
  const loaded = await import('./verify.ts');
  return loaded.verifyImage(target, options);
}
