/** What the verity commands share: salts, root hashes and parameters as people write them. */

import type { RootHash } from '@osguard/formats/verity';
import { parsing, readInput } from './input.ts';
import { UsageError } from './report.ts';

/** `-` is no salt, as veritysetup takes it. */
export function saltOf(text: string): Uint8Array {
  if (text === '-') return new Uint8Array();
  if (/^(?:[0-9a-fA-F]{2})+$/.test(text)) return Buffer.from(text, 'hex');
  throw new UsageError('--salt is an even number of hexadecimal digits, or - for none');
}

/** Hexadecimal, or `@FILE` with the hash in it. */
export async function rootHashFrom(text: string): Promise<RootHash> {
  const { parseRootHash } = await import('@osguard/formats/verity');
  if (!text.startsWith('@')) return parseRootHash(text);
  const file = text.slice(1);
  const content = (await readInput(file, { most: 4096, what: 'a file with a root hash' }))
    .toString('latin1')
    .trim();
  return parsing(file, () => parseRootHash(content));
}

/** The progress option of the verity functions, as events of one step. */
export function bytesProgress(report: {
  progress(progress: { done: number; total: number; unit: 'bytes' }): void;
}): (done: number, total: number) => void {
  return (done, total) => report.progress({ done, total, unit: 'bytes' });
}
