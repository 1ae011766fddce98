/** Verification alone: whoever only verifies need not load what builds, and can begin to read while this is loaded. */

import { join, resolve } from 'node:path';
import { FileThreads } from '../files/file-threads.ts';
import type { VerifyImageOptions, VerifyReport } from './verify.ts';

export type { FileThreads } from '../files/file-threads.ts';
export type { Check } from './checks.ts';
export type { VerifyImageOptions, VerifyReport } from './verify.ts';

/**
 * Begins to hash the large files of a release folder before anything is known of it. For a small host a third of the time
 * goes into loading this program; a processor would have nothing to do meanwhile. Nothing is decided by it: verification
 * asks for the digests of what the manifest names.
 */
export function readAhead(target: string): FileThreads {
  const threads = new FileThreads();
  // A disk alone has no such files; what is not there rejects, and nobody asks for it.
  for (const name of ['usr.erofs', 'uki.efi']) void threads.sha256(join(resolve(target), name));
  return threads;
}

/** @throws ImageError (`not-an-image`) when `target` is neither a release folder nor a file; system errors pass through. */
export async function verifyImage(target: string, options: VerifyImageOptions): Promise<VerifyReport> {
  const loaded = await import('./verify.ts');
  return loaded.verifyImage(target, options);
}
