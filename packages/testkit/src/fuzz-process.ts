/** Watches one fuzz worker: a hang, a crash and memory without bounds end it and are told like any failure. */

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FuzzTarget } from './fuzz.ts';
import { fuzzInput } from './fuzz.ts';
import type { WorkerJob, WorkerReport } from './fuzz-worker.ts';

export interface FuzzProcessOptions {
  readonly milliseconds: number;
  readonly seed: number;
  /** One input may take this long. Milliseconds. */
  readonly slowest?: number;
  /** Without a new input for this long the worker is killed. Milliseconds. */
  readonly hang?: number;
  /** Resident memory the worker may have. MiB. */
  readonly memory?: number;
  /** Where failing inputs are written. */
  readonly failures: string;
  /** Run the input in this file and nothing else. */
  readonly input?: string;
}

export type FuzzOutcome =
  | { readonly passed: true; readonly inputs: number; readonly rejected: number }
  | {
      readonly passed: false;
      readonly message: string;
      /** The file with the input, when it could be made again. */
      readonly input: string | undefined;
    };

const pollEvery = 100;
/** Loading the target and making its seeds. Milliseconds. */
const startup = 30_000;

/** @param file absolute path of the `.fuzz.ts` file. */
export async function fuzzInProcess(file: string, options: FuzzProcessOptions): Promise<FuzzOutcome> {
  const { seed, milliseconds, slowest = 2000, hang = 15_000, memory = 1024, failures } = options;
  const progress = join(tmpdir(), `osguard-fuzz-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const job: WorkerJob = {
    file,
    milliseconds,
    seed,
    slowest,
    progress,
    ...(options.input === undefined ? {} : { input: options.input }),
  };
  // The heap limit makes V8 give up with a message; memory outside its heap is what the watch is for.
  const args = [
    `--max-old-space-size=${Math.ceil(memory / 2)}`,
    join(import.meta.dirname, 'fuzz-worker.ts'),
    JSON.stringify(job),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-65_536)));
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-8192)));

  let killed: string | undefined;
  let last = -1;
  let since = performance.now();
  const watch = setInterval(() => {
    const index = readIndex(progress) ?? -1;
    if (index !== last) {
      last = index;
      since = performance.now();
    }
    const patience = last < 0 ? startup : hang;
    const resident = child.pid === undefined ? 0 : residentMebibytes(child.pid);
    if (performance.now() - since > patience) killed = `no result after ${patience} ms`;
    else if (resident > memory) killed = `${Math.round(resident)} MiB of memory, ${memory} are allowed`;
    if (killed !== undefined) child.kill('SIGKILL');
  }, pollEvery);
  const status = await new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(signal ?? String(code)));
  }).finally(() => clearInterval(watch));

  const index = readIndex(progress);
  rmSync(progress, { force: true });
  const report = killed === undefined && status === '0' ? parseReport(output) : undefined;
  if (report?.outcome === 'passed') return { passed: true, inputs: report.inputs, rejected: report.rejected };
  const message =
    report?.message ?? killed ?? `the process ended with ${status}: ${errors.trim().slice(-2000)}`;
  const input =
    options.input ?? (index === undefined ? undefined : await saveInput({ file, seed, index, failures }));
  return { passed: false, message, input };
}

async function saveInput(place: {
  readonly file: string;
  readonly seed: number;
  readonly index: number;
  readonly failures: string;
}): Promise<string> {
  const { target } = (await import(place.file)) as { target: FuzzTarget };
  mkdirSync(place.failures, { recursive: true });
  const path = join(place.failures, `${target.name}-${place.seed}-${place.index}.bin`);
  writeFileSync(path, fuzzInput(target.seeds(), place));
  return path;
}

function readIndex(progress: string): number | undefined {
  try {
    const bytes = readFileSync(progress);
    return bytes.length < 4
      ? undefined
      : new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 4))[0];
  } catch {
    // Not made yet: the worker is still loading.
    return undefined;
  }
}

/** 0 where there is no /proc: then only the heap limit counts. */
function residentMebibytes(pid: number): number {
  try {
    const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(match?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

function parseReport(output: string): WorkerReport | undefined {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  try {
    return JSON.parse(line) as WorkerReport;
  } catch {
    return undefined;
  }
}
