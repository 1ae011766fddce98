/** How figures are measured: whole processes, in pairs in turn, medians; inputs on a file system in memory. */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { NotHere } from './not-here.ts';

export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly cwd?: string;
  /** On top of this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Runs before the clock starts, each time: removes what the run before has left. */
  readonly prepare?: () => void;
  /** Looks at what the command said, each time: a wrong answer is not fast, it is wrong. Throws then. */
  readonly check?: (stdout: string) => void;
  /** Also watch memory (of the process and all below it); costs a little time. */
  readonly memory?: boolean;
}

export interface Sample {
  /** From spawn to the end of the process. */
  readonly seconds: number;
  /** User and system time of the process and its children, to 10 ms. */
  readonly cpuSeconds: number;
  /** Highest sum of resident memory seen; 0 when it was not watched. Bytes. */
  readonly peakBytes: number;
  /** Highest resident memory of the largest single process, as getrusage(2) has it; 0 when it was not watched. Bytes. */
  readonly largestBytes: number;
}

export interface PairOptions {
  readonly ours: Command;
  readonly peer: Command;
  /** Pairs that count, after one that does not. 7 unless given. */
  readonly rounds?: number;
  /** Pairs before those that do not count; 1 unless given. */
  readonly warmUps?: 0 | 1;
}

export interface Bench {
  /** Top of the checkout. */
  readonly root: string;
  /** The pinned node. */
  readonly node: string;
  /** What `./osguard` runs its node with, so that a program started without it is as fast. */
  readonly nodeEnv: Readonly<Record<string, string>>;
  /** A folder in memory that is removed at the end. @throws NotHere unless that many bytes are free twice over. */
  scratch(bytes: number): string;
  /** Path of a tool. @throws NotHere */
  tool(name: string): string;
  /** Whoever repeats things without this bench's help does each only one time. */
  readonly singly: boolean;
  /** One command, one time. */
  once(command: Command): Promise<Sample>;
  /** One command several times after one that does not count; medians of each number. */
  median(command: Command, rounds?: number): Promise<Sample>;
  /** Two commands in turn, A B A B, after one pair that does not count; medians of each number. */
  pairs(options: PairOptions): Promise<{ readonly ours: Sample; readonly peer: Sample }>;
}

/** Pairs that take longer are reported while others are still to come. Seconds. */
const worthALine = 5;

const tmpfsMagic = 0x0102_1994;

export interface BenchOptions {
  /** Everything one time and nothing before it: shows that a figure can be measured, not what it is. */
  readonly once?: boolean;
}

export function createBench(root: string, { once = false }: BenchOptions = {}): Bench & Disposable {
  const folders: string[] = [];
  const compiled = mkdtempSync(join(memoryFolder(1024 * 1024), 'osguard-bench-code-'));
  folders.push(compiled);
  return {
    root,
    node: process.execPath,
    nodeEnv: { NODE_COMPILE_CACHE: compiled },
    scratch(bytes) {
      const path = mkdtempSync(join(memoryFolder(bytes), 'osguard-bench-'));
      folders.push(path);
      return path;
    },
    tool: findTool,
    singly: once,
    once: run,
    async median(command, given = 7) {
      const rounds = once ? 1 : given;
      if (!once) await run(command);
      const samples: Sample[] = [];
      for (let round = 0; round < rounds; round += 1) samples.push(await run(command));
      return medianOf(samples);
    },
    async pairs({ ours, peer, rounds: given = 7, warmUps: before = 1 }) {
      const rounds = once ? 1 : given;
      const warmUps = once ? 0 : before;
      const samples: { ours: Sample; peer: Sample }[] = [];
      for (let round = 0; round < rounds + warmUps; round += 1) {
        const pair = { ours: await run(ours), peer: await run(peer) };
        samples.push(pair);
        const seconds = [pair.ours.seconds, pair.peer.seconds].map((one) => `${one.toFixed(1)} s`);
        if (pair.ours.seconds + pair.peer.seconds > worthALine)
          process.stderr.write(`  pair ${round + 1} of ${rounds + warmUps}: ${seconds.join(', peer ')}\n`);
      }
      const counted = samples.slice(warmUps);
      return {
        ours: medianOf(counted.map((pair) => pair.ours)),
        peer: medianOf(counted.map((pair) => pair.peer)),
      };
    },
    [Symbol.dispose]() {
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Disks are slower than what is measured and differ from day to day, so nothing is measured on them. */
function memoryFolder(bytes: number): string {
  for (const folder of ['/dev/shm', '/tmp']) {
    const { type, bavail, bsize } = statfsSync(folder);
    if (type === tmpfsMagic && bavail * bsize > bytes * 2 && freemem() > bytes * 2) return folder;
  }
  throw new NotHere(
    `no file system in memory with ${Math.ceil((bytes * 2) / 2 ** 20)} MiB free (/dev/shm, /tmp)`,
  );
}

function findTool(name: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  for (const folder of folders) {
    try {
      if (folder !== '' && statfsSync(join(folder, name)).type !== 0) return join(folder, name);
    } catch {
      // Not in this folder: the next one may have it.
    }
  }
  throw new NotHere(`${name} is not on this machine`);
}

async function run({ argv, cwd, env, prepare, check, memory = false }: Command): Promise<Sample> {
  prepare?.();
  const [file, ...args] = argv;
  const cpuBefore = childrenCpuSeconds();
  const started = process.hrtime.bigint();
  const child = spawn(file, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text));
  let peakBytes = 0;
  let largestBytes = 0;
  const watch = memory
    ? setInterval(() => {
        const { sum, largest } = residentBytes(child.pid ?? 0);
        peakBytes = Math.max(peakBytes, sum);
        largestBytes = Math.max(largestBytes, largest);
      }, 20)
    : undefined;
  const seconds = await new Promise<number>((resolve, reject) => {
    let took = 0;
    child.once('error', reject);
    child.once('exit', () => {
      took = Number(process.hrtime.bigint() - started) / 1e9;
    });
    child.once('close', (status, signal) => {
      if (status === 0) resolve(took);
      else
        reject(new Error(`${argv.join(' ')} ended with ${signal ?? status}: ${texts.stderr.slice(-2000)}`));
    });
  }).finally(() => clearInterval(watch));
  check?.(texts.stdout);
  return { seconds, cpuSeconds: childrenCpuSeconds() - cpuBefore, peakBytes, largestBytes };
}

/** Processor time of all ended children: fields 16 and 17 of proc(5) stat, in ticks of 10 ms. */
function childrenCpuSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

interface Resident {
  /** Of all processes, now. Bytes. */
  readonly sum: number;
  /** Most that one of them ever had. Bytes. */
  readonly largest: number;
}

/** Resident memory of a process and everything below it: VmRSS and VmHWM of proc(5). */
function residentBytes(pid: number): Resident {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const bytes = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
    const below = children.map((child) => residentBytes(Number(child)));
    return {
      sum: below.reduce((sum, one) => sum + one.sum, bytes('VmRSS')),
      largest: Math.max(bytes('VmHWM'), ...below.map((one) => one.largest)),
    };
  } catch {
    return { sum: 0, largest: 0 };
  }
}

function medianOf(samples: readonly Sample[]): Sample {
  const of = (name: keyof Sample): number => {
    const sorted = samples.map((sample) => sample[name]).sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    const upper = sorted[middle] ?? Number.NaN;
    return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
  };
  return {
    seconds: of('seconds'),
    cpuSeconds: of('cpuSeconds'),
    peakBytes: of('peakBytes'),
    largestBytes: of('largestBytes'),
  };
}
