/**
 * `npm run fuzz [-- SECONDS [NAME…]]`: every registered parser for its share of the time, each in a process
 * of its own. `npm run fuzz -- --input FILE NAME` runs one saved input again.
 * A target is a file `packages/<room>/test/fuzz/<name>.fuzz.ts` that exports `target`.
 *
 * Environment: FUZZ_SEED repeats a run, FUZZ_JOBS is how many processes run at a time.
 * Exit status 1 when a parser failed (its input is written to test-logs/fuzz), 2 for wrong use.
 */

import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import type { FuzzOutcome } from './fuzz-process.ts';
import { fuzzInProcess } from './fuzz-process.ts';

const root = join(import.meta.dirname, '../../..');
/** Milliseconds, about. */
const startup = 400;

interface Wanted {
  readonly seconds: number;
  readonly names: readonly string[];
  readonly input: string | undefined;
}

function parseArguments(args: readonly string[]): Wanted | undefined {
  if (args[0] === '--input') {
    const [, input, ...names] = args;
    return input === undefined || names.length !== 1
      ? undefined
      : { seconds: 0, names, input: resolve(input) };
  }
  const [seconds = '60', ...names] = args;
  return Number(seconds) > 0 ? { seconds: Number(seconds), names, input: undefined } : undefined;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function nameOf(file: string): string {
  return basename(file, '.fuzz.ts');
}

async function main(args: readonly string[]): Promise<number> {
  const wanted = parseArguments(args);
  if (wanted === undefined) {
    print('usage: npm run fuzz [-- SECONDS [NAME…] | -- --input FILE NAME]');
    return 2;
  }
  const all = globSync('packages/*/test/fuzz/*.fuzz.ts', { cwd: root }).sort();
  const files = all.filter((file) => wanted.names.length === 0 || wanted.names.includes(nameOf(file)));
  const unknown = wanted.names.filter((name) => !all.map(nameOf).includes(name));
  if (unknown.length > 0 || files.length === 0) {
    print(`no such parser: ${unknown.join(', ')}; there are: ${all.map(nameOf).join(', ')}`);
    return 2;
  }
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 0x1_0000_0000) >>> 0;
  const jobs = Math.max(
    1,
    Math.min(files.length, Number(process.env['FUZZ_JOBS'] ?? availableParallelism())),
  );
  // A process takes some time to start; the total should still be what was asked for.
  const milliseconds = Math.max((wanted.seconds * 1000 * jobs) / files.length - startup, 100);
  print(`${files.length} parsers, ${wanted.seconds} s in all, ${jobs} at a time, FUZZ_SEED=${seed}`);

  let failed = 0;
  const queue = [...files];
  const runQueue = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const outcome = await fuzzInProcess(join(root, file), {
        milliseconds,
        seed,
        failures: join(root, 'test-logs/fuzz'),
        ...(wanted.input === undefined ? {} : { input: wanted.input }),
      });
      print(describe(nameOf(file), outcome, seed));
      if (!outcome.passed) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: jobs }, runQueue));
  if (failed > 0) print(`${failed} of ${files.length} parsers failed`);
  return failed > 0 ? 1 : 0;
}

function describe(name: string, outcome: FuzzOutcome, seed: number): string {
  if (outcome.passed) return `${name}: ${outcome.inputs} inputs, ${outcome.rejected} rejected`;
  const path = outcome.input === undefined ? undefined : relative(process.cwd(), outcome.input);
  const again =
    path === undefined
      ? `FUZZ_SEED=${seed} npm run fuzz -- 60 ${name}`
      : `npm run fuzz -- --input ${path} ${name}`;
  return `${name}: FAILED, FUZZ_SEED=${seed}\n  ${outcome.message.replaceAll('\n', '\n  ')}\n  again: ${again}`;
}

process.exitCode = await main(process.argv.slice(2));
