/**
 * A lock between processes that cannot be left behind: a child holds flock(2) on the file for as long as its standard
 * input is open, so the kernel lets go of it however we end. (Node has no flock of its own.)
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { MachineError } from '../error.ts';

export interface LockOptions {
  readonly signal?: AbortSignal;
  /** Called once when somebody else holds the lock and we begin to wait. */
  readonly onWait?: () => void;
}

export interface LockedWork<T> extends LockOptions {
  readonly run: () => Promise<T>;
}

/** Waits for the lock on `path` (the file is made when missing and stays), then runs the work while holding it. */
export async function withLock<T>(path: string, work: LockedWork<T>): Promise<T> {
  const release = await acquire(path, work);
  try {
    return await work.run();
  } finally {
    await release();
  }
}

async function acquire(path: string, options: LockOptions): Promise<() => Promise<void>> {
  const holder = spawn(
    'flock',
    ['--exclusive', '--no-fork', path, 'sh', '-c', 'echo held; exec cat >/dev/null'],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
  let errors = '';
  holder.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const waiting = setTimeout(() => options.onWait?.(), 1000);
  try {
    const held = once(holder.stdout, 'data');
    const failed = once(holder, 'close').then(() => {
      throw new MachineError('not-writable', `cannot lock ${path}: ${errors.trim() || 'flock was killed'}`, {
        hint: 'see that the folder is there and can be written',
      });
    });
    failed.catch(() => undefined);
    await Promise.race([held, failed]);
  } catch (cause) {
    holder.kill('SIGKILL');
    if (cause instanceof MachineError) throw cause;
    if (options.signal?.aborted === true)
      throw new MachineError('aborted', `interrupted while waiting for the lock ${path}`, { cause });
    throw new MachineError('tool-missing', 'flock cannot be run', {
      hint: 'sudo apt-get install util-linux',
      cause,
    });
  } finally {
    clearTimeout(waiting);
  }
  holder.removeAllListeners('error').on('error', () => undefined);
  return async () => {
    if (holder.exitCode !== null || holder.signalCode !== null) return;
    const ended = once(holder, 'exit');
    holder.stdin.end();
    await ended;
  };
}
