/**
 * A long-running program of ours that never outlives us: the kernel kills it when we die, however that happens
 * (prctl(2) PR_SET_PDEATHSIG through setpriv(1)), and it runs in its own session, so that Ctrl-C on the terminal
 * reaches only us and we can end it in order.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';

import type { Command } from './run.ts';

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Child {
  readonly process: ChildProcess;
  /** Settles when the program has ended; never rejects. */
  readonly exited: Promise<ChildExit>;
  /** What it printed as errors, the last 64 KiB. */
  errors(): string;
  /** Asks with SIGTERM, insists with SIGKILL after `graceMs`. */
  kill(graceMs: number): Promise<ChildExit>;
}

const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Starts the program; the stdio of index 2 is always a pipe that is read here. */
export function startChild(command: Command, extra: readonly 'pipe'[] = []): Child {
  const stdio: StdioOptions = ['ignore', 'ignore', 'pipe', ...extra];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command.file, ...command.args], {
    env: { ...process.env, LC_ALL: 'C.UTF-8', ...command.env },
    stdio,
    detached: true,
  });
  living.add(child);
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-65_536);
  });
  const { promise: exited, resolve } = Promise.withResolvers<ChildExit>();
  child.on('error', (error) => {
    errors += `${error.message}\n`;
    living.delete(child);
    resolve({ code: null, signal: null });
  });
  child.on('close', (code, signal) => {
    living.delete(child);
    resolve({ code, signal });
  });
  return {
    process: child,
    exited,
    errors: () => errors,
    async kill(graceMs) {
      if (!living.has(child)) return exited;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
  };
}
