/** Digests of what is measured, in the bank of the reference values. */

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { ByteSource } from '@osguard/formats/bytes';
import { toHex } from '@osguard/formats/bytes';
import type { PcrBank } from '@osguard/formats/eventlog';
import { bankFacts, digestOf } from '@osguard/formats/eventlog';

/** Bytes hashed at once. */
const chunk = 1024 * 1024;

/** Lower-case hex. `zeros` follow the source: memory that the file does not fill. */
export function hashSource(source: ByteSource, bank: PcrBank, zeros = 0): string {
  const hash = createHash(bankFacts(bank).hash);
  update(hash, source);
  for (let left = zeros; left > 0; left -= chunk) hash.update(new Uint8Array(Math.min(chunk, left)));
  return hash.digest('hex');
}

/** One after the other. Lower-case hex. */
export function hashSources(sources: readonly ByteSource[], bank: PcrBank): string {
  const hash = createHash(bankFacts(bank).hash);
  for (const source of sources) update(hash, source);
  return hash.digest('hex');
}

function update(hash: Hash, source: ByteSource): void {
  for (let at = 0; at < source.size; at += chunk) {
    hash.update(source.read(at, Math.min(chunk, source.size - at)));
  }
}

/** Lower-case hex. Text is hashed as UTF-8. */
export function hashBytes(content: Uint8Array | string, bank: PcrBank): string {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
  return toHex(digestOf(bankFacts(bank), bytes));
}
