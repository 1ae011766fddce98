/**
 * Runs test files, several at a time, so that the end says what a person needs: which tests failed, how to run them
 * again, where everything they said lies, and which were skipped and why.
 *
 *   node scripts/run-tests.ts NAME JOBS PATTERN...
 *
 * writes test-logs/NAME.log. `OSGUARD_TEST_LIMIT` is how long one file may take, in milliseconds.
 * Files are started in the order of the patterns: name the longest first.
 */

import { createWriteStream, globSync, mkdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const root = join(import.meta.dirname, '..');
/** A file that takes this long hangs. Milliseconds; those with machines boot up to twenty of them. */
const longestFile = 600_000;
const longestMachines = 3_600_000;
const grace = 2000;
/** Tests that take this long are told when they end. Milliseconds. */
const longTest = 15_000;
const linesOfReason = 6;

export interface Failure {
  /** Relative to the checkout. */
  readonly file: string;
  readonly line: number | undefined;
  readonly name: string;
  readonly reason: string;
}

export interface Totals {
  readonly passed: number;
  readonly failures: readonly Failure[];
  /** How many tests were skipped for each reason. */
  readonly skipped: ReadonlyMap<string, number>;
}

interface Completed {
  readonly name: string;
  readonly file?: string;
  /** Left out for the file itself. */
  readonly entryFile?: string;
  readonly line?: number;
  readonly skip?: string | boolean;
  readonly details: {
    readonly duration_ms: number;
    readonly type?: string;
    readonly passed: boolean;
    readonly error?: { readonly failureType?: string; readonly cause?: unknown; readonly message: string };
  };
}

interface Started {
  readonly name: string;
  readonly nesting: number;
}

interface Heard {
  readonly entryFile?: string;
  readonly message: string;
}

/** What a run comes to, from its events. */
export class Tally {
  #passed = 0;
  #files = new Map<string, number>();
  readonly #heard = new Map<string, string>();
  readonly #failures: Failure[] = [];
  readonly #skipped = new Map<string, number>();

  /** A line to print now, if there is one. */
  add({ name, file = name, entryFile, line, skip, details }: Completed): string | undefined {
    const { duration_ms: milliseconds, passed, type, error } = details;
    const seconds = `${(milliseconds / 1000).toFixed(1)} s`;
    const path = relative(root, entryFile ?? file);
    if (entryFile === undefined) {
      const told = this.#failures.some((failure) => failure.file === path);
      if (!passed && !told)
        this.#failures.push({ file: path, line: undefined, name: path, reason: reasonOf(error) });
      return `${passed ? 'ok    ' : 'FAILED'} ${path}  ${this.#files.get(path) ?? 0} tests, ${seconds}`;
    }
    // What contains a failed test failed because of it: the test itself is told.
    const itself = error?.failureType !== 'subtestsFailed';
    if (!passed && itself) {
      this.#failures.push({ file: path, line, name, reason: reasonOf(error) });
      return `  failed: ${name}`;
    }
    if (type === 'suite') return undefined;
    this.#files.set(path, (this.#files.get(path) ?? 0) + 1);
    if (skip !== undefined && skip !== false) {
      const reason = typeof skip === 'string' && skip !== '' ? skip : 'without a reason';
      this.#skipped.set(reason, (this.#skipped.get(reason) ?? 0) + 1);
      return undefined;
    }
    if (passed) this.#passed += 1;
    return milliseconds >= longTest ? `  ${name}  ${seconds}` : undefined;
  }

  /** Standard error of a file that may have ended before any test did. */
  hear({ entryFile, message }: Heard): void {
    const path = relative(root, entryFile ?? '');
    this.#heard.set(path, ((this.#heard.get(path) ?? '') + message).slice(-2000));
  }

  get totals(): Totals {
    const failures = this.#failures.map((failure) => {
      const heard = failure.line === undefined ? this.#heard.get(failure.file)?.trim() : undefined;
      return heard === undefined ? failure : { ...failure, reason: `${failure.reason}\n${heard}` };
    });
    return { passed: this.#passed, failures, skipped: this.#skipped };
  }
}

/** The last lines of a run. */
export function summaryOf({ passed, failures, skipped }: Totals, log: string): string {
  const lines: string[] = [];
  for (const [reason, count] of skipped) lines.push(`skipped ${count}: ${reason}`);
  const total = [...skipped.values()].reduce((sum, count) => sum + count, 0);
  if (failures.length > 0) lines.push('');
  for (const { file, line, name, reason } of failures) {
    lines.push(
      `FAILED ${name}`,
      `  at ${file}${line === undefined ? '' : `:${line}`}`,
      reason.replaceAll(/^/gm, '  | '),
    );
  }
  lines.push(`${passed} passed, ${total} skipped, ${failures.length} failed; all they said: ${log}`);
  const files = new Set(failures.map(({ file }) => file));
  if (files.size > 0) lines.push(`run again: ./test ${[...files].join(' ')}`);
  return lines.join('\n');
}

function reasonOf(error: Completed['details']['error']): string {
  const cause = error?.cause;
  const text =
    cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : (error?.message ?? '');
  const lines = text.trim().split('\n');
  return [...lines.slice(0, linesOfReason), ...(lines.length > linesOfReason ? ['…'] : [])].join('\n');
}

/** Kills the process that runs a file: the runner of Node waits for it without end. */
function killRunner(file: string): void {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').trim().split(' ');
  for (const pid of children) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(file)) continue;
      print(`  ${relative(root, file)} does not end: killed`);
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main([name, jobs, ...patterns]: readonly string[]): Promise<number> {
  const files = [...new Set(patterns.flatMap((pattern) => globSync(pattern, { cwd: root }).sort()))];
  if (name === undefined || !(Number(jobs) >= 1) || files.length === 0) {
    print('usage: node scripts/run-tests.ts NAME JOBS PATTERN...');
    return 2;
  }
  const folder = join(root, 'test-logs');
  mkdirSync(folder, { recursive: true });
  const log = join(folder, `${name}.log`);
  const tally = new Tally();
  const usual = files.some((file) => file.includes('/vm/')) ? longestMachines : longestFile;
  const limit = Number(process.env['OSGUARD_TEST_LIMIT'] ?? usual);
  const stream = run({
    files: files.map((file) => resolve(root, file)),
    concurrency: Number(jobs),
    timeout: limit,
  });
  const watched = new Map<string, NodeJS.Timeout>();
  stream.on('test:dequeue', ({ name: file, nesting, ...more }: Started) => {
    if (nesting > 0 || 'entryFile' in more) return;
    // Its tests have limits of their own; this is for a file that does not end when they have.
    watched.set(file, setTimeout(() => killRunner(file), limit + grace).unref());
  });
  stream.on('test:complete', (event: Completed) => {
    if (event.entryFile === undefined) clearTimeout(watched.get(event.name));
    const line = tally.add(event);
    if (line !== undefined) print(line);
  });
  stream.on('test:stderr', (event: Heard) => tally.hear(event));
  await pipeline(stream, new spec(), createWriteStream(log));
  const { totals } = tally;
  print(summaryOf(totals, relative(root, log)));
  return totals.failures.length > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
