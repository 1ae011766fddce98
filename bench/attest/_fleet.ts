/** A verifier and load on it, each in a process of its own, for the figures of the service. */

import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bench } from '../measure.ts';
import { NotHere } from '../not-here.ts';
import type { LoadReport } from './_load-run.ts';
import { writePlan } from './_plan.ts';
import type { Memory, Ready } from './_verifier-run.ts';

export interface VerifierProcess extends Ready, AsyncDisposable {
  readonly child: ChildProcess;
  /** MiB. */
  resident(): Promise<number>;
  kill(): Promise<void>;
}

const tmpfsMagic = 0x0102_1994;

/** On a disk: what is durable is to be measured where it costs something. */
export function diskFolder(): Disposable & { readonly path: string } {
  const base = [tmpdir(), '/var/tmp', process.cwd()].find((folder) => statfsSync(folder).type !== tmpfsMagic);
  if (base === undefined) throw new NotHere('no folder on a disk');
  const path = mkdtempSync(join(base, 'osguard-bench-attest-'));
  writePlan(path);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** With what `./osguard` gives its node. */
export async function startVerifierProcess(
  bench: Bench,
  options: { readonly folder: string; readonly nodes: number },
): Promise<VerifierProcess> {
  const { folder, nodes } = options;
  const child = fork(join(import.meta.dirname, '_verifier-run.ts'), [folder, String(nodes)], {
    execPath: bench.node,
    execArgv: ['--max-semi-space-size=8'],
    env: { ...process.env, ...bench.nodeEnv },
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ready = await messageOf<Ready>(child);
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return {
    ...ready,
    child,
    async resident() {
      child.send('memory');
      return Math.round((await messageOf<Memory>(child)).resident / 2 ** 20);
    },
    kill: async () => stop('SIGKILL'),
    [Symbol.asyncDispose]: async () => stop('SIGTERM'),
  };
}

export interface LoadOptions {
  readonly folder: string;
  readonly nodes: number;
  /** Machines that speak at the same time. */
  readonly lines: number;
  readonly seconds: number;
  readonly warmUp: number;
}

export async function loadVerifier(
  bench: Bench,
  { port, ca }: Ready,
  { folder, nodes, lines, seconds, warmUp }: LoadOptions,
): Promise<LoadReport> {
  const words = [folder, port, ca, nodes, lines, seconds, warmUp].map(String);
  const child = fork(join(import.meta.dirname, '_load-run.ts'), words, {
    execPath: bench.node,
    env: { ...process.env, ...bench.nodeEnv },
  });
  return messageOf<LoadReport>(child);
}

async function messageOf<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null): void =>
      reject(new Error(`a process ended: ${code ?? signal}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- from our own program
      resolve(message as T);
    });
  });
}
