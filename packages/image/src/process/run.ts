/** Running a tool of the build to its end; its output goes to the event sink line by line. */

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import type { EventSink } from '@osguard/events';

import { ImageError } from '../error.ts';

export interface RunOptions {
  /** Replaces the environment; PATH, HOME and proxies of this process are kept unless named. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
  readonly signal?: AbortSignal | undefined;
  readonly sink?: EventSink | undefined;
  /** Said when the tool is not there. */
  readonly hint?: string;
}

export interface RunResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Output beyond this is dropped, oldest first. UTF-16 units. */
const keptOutput = 64 * 1024 * 1024;

/** The environment of tools: no locale, no user's switches, nothing that could change bits. */
export function toolEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = [
    'HOME',
    'TMPDIR',
    'http_proxy',
    'https_proxy',
    'no_proxy',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'NO_PROXY',
  ];
  const env: Record<string, string> = { LC_ALL: 'C.UTF-8', TZ: 'UTC' };
  for (const name of kept) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return { ...env, PATH: toolPath(), ...extra };
}

/** Users often lack the sbin folders, where half of the tools live. */
function toolPath(): string {
  const path = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  for (const folder of ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin']) {
    if (!path.includes(folder)) path.push(folder);
  }
  return path.join(':');
}

/** A tool that ends with a status other than 0 is returned; one that cannot start or is killed throws. */
export async function run(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { signal, sink } = options;
  signal?.throwIfAborted();
  const child = spawn(file, args, {
    env: options.env ?? toolEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] = (output[name] + text).slice(-keptOutput);
    });
  }
  lines(child, basename(file), sink);
  // A tool that ends before it read all of its input says why by its status.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const status = await ended(child, { file, signal, hint: options.hint });
  return { status, ...output };
}

/** Like {@link run}; any status but 0 throws with the last lines the tool printed. */
export async function runOrThrow(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const result = await run(file, args, options);
  if (result.status === 0) return result;
  throw toolFailed(file, result.status, result.stderr === '' ? result.stdout : result.stderr);
}

export function toolFailed(file: string, status: number, output: string): ImageError {
  const last = output.trim().split('\n').slice(-15).join('\n');
  return new ImageError('tool-failed', `${basename(file)} ended with status ${status}:\n${last}`, {
    data: { tool: basename(file), status },
  });
}

/** Reports what the child writes to standard error as output events. */
export function lines(child: ChildProcess, source: string, sink: EventSink | undefined): void {
  if (sink === undefined) return;
  let rest = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const whole = (rest + text).split('\n');
    rest = (whole.pop() ?? '').slice(-10_000);
    for (const line of whole) sink({ type: 'output', source, line });
  });
}

export interface EndedOptions {
  readonly file: string;
  readonly signal?: AbortSignal | undefined;
  readonly hint?: string | undefined;
  /** How an abort ends it; `SIGTERM` to the child alone unless told otherwise. */
  readonly kill?: () => void;
}

/** The exit status, when the child and its pipes are done. An abort kills it and throws the signal's reason. */
export async function ended(child: ChildProcess, options: EndedOptions): Promise<number> {
  const { file, signal, hint, kill } = options;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const onAbort = (): void => {
    // TERM first in the tool's own interest: it may have mounts to take down.
    if (kill === undefined) child.kill('SIGTERM');
    else kill();
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  child.on('error', (cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT';
    const message = missing ? `${file} is not installed` : `${file} cannot be run: ${cause.message}`;
    reject(
      new ImageError(missing ? 'tool-missing' : 'tool-failed', message, {
        cause,
        ...(hint !== undefined && { hint }),
      }),
    );
  });
  child.on('close', (status, killedBy) => {
    if (signal?.aborted === true) reject(signal.reason);
    else if (status === null) reject(new ImageError('tool-failed', `${file} was killed by ${killedBy}`));
    else resolve(status);
  });
  try {
    return await promise;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}
