/** Runs the command as `main.ts` does, but in the test's own process: starting Node costs more than most commands. */

import { join } from 'node:path';
import { commands } from '../src/commands/index.ts';
import { run } from '../src/run.ts';

/** For the few tests that need a process. */
export const main: string = join(import.meta.dirname, '../src/main.ts');

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  /** The folder relative paths are taken from, as long as the command runs. */
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** Columns of the terminal both streams are then; none when left out. */
  readonly terminal?: number;
}

export async function osguard(args: readonly string[], surroundings: Surroundings = {}): Promise<Ran> {
  const { env = {}, cwd, signal = new AbortController().signal, terminal } = surroundings;
  let stdout = '';
  let stderr = '';
  const tty = terminal === undefined ? {} : { isTTY: true, columns: terminal };
  const io = {
    stdout: { ...tty, write: (text: string) => (stdout += text) },
    stderr: { ...tty, write: (text: string) => (stderr += text) },
    env,
    signal,
  };
  const before = process.cwd();
  if (cwd !== undefined) process.chdir(cwd);
  try {
    const status = await run(args, io, { version: '0.0.0', commands });
    return { status, stdout, stderr };
  } finally {
    process.chdir(before);
  }
}
