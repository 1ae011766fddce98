/**
 * `npm run fuzz [-- SECONDS [NAME…]]`: every registered parser, in turn, for as long as one likes.
 * A target is a file `packages/<room>/test/fuzz/<name>.fuzz.ts` that exports `target`.
 */

import { globSync } from 'node:fs';
import { join } from 'node:path';
import type { FuzzTarget } from './fuzz.ts';
import { runFuzz } from './fuzz.ts';

const root = join(import.meta.dirname, '../../..');
const [secondsText = '60', ...names] = process.argv.slice(2);
const seconds = Number(secondsText);
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 0x1_0000_0000);

const files = globSync('packages/*/test/fuzz/*.fuzz.ts', { cwd: root }).sort();
const targets: FuzzTarget[] = [];
for (const file of files) {
  const loaded = (await import(join(root, file))) as { target: FuzzTarget };
  if (names.length === 0 || names.includes(loaded.target.name)) targets.push(loaded.target);
}

process.stdout.write(`${targets.length} parsers, ${seconds} s in all, FUZZ_SEED=${seed}\n`);
for (const target of targets) {
  const report = runFuzz(target, { milliseconds: (seconds * 1000) / targets.length, seed });
  process.stdout.write(`${target.name}: ${report.inputs} inputs, ${report.rejected} rejected\n`);
}
