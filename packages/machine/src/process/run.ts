/** Running a helper program to its end. */

import { spawn } from 'node:child_process';

import { MachineError } from '../error.ts';

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  /** Added to the environment of this process. */
  readonly env: Readonly<Record<string, string>>;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly input?: string;
  /** Called with every full line of standard output, as it comes. */
  readonly onLine?: (line: string) => void;
  /** What to do when the program is not there; becomes the error's hint. */
  readonly hint?: string;
}

export interface RunResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** More output than any helper of ours prints; the oldest half is dropped beyond it. */
const keptCharacters = 16 * 1024 * 1024;

/** Runs the command; a status other than 0 is returned, not thrown. A program that cannot start or is killed throws. */
export async function run(command: Command, options: RunOptions = {}): Promise<RunResult> {
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const child = spawn(command.file, command.args, {
    env: { ...process.env, LC_ALL: 'C.UTF-8', ...command.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  let pending = '';
  let stopped: MachineError | undefined;
  const stop = (error: MachineError): void => {
    stopped ??= error;
    child.kill('SIGKILL');
  };
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          stop(new MachineError('timeout', `${command.file} did not end within ${options.timeoutMs} ms`));
        }, options.timeoutMs);
  const onAbort = (): void => stop(new MachineError('aborted', `${command.file} was interrupted`));
  if (options.signal?.aborted === true) onAbort();
  options.signal?.addEventListener('abort', onAbort, { once: true });

  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-keptCharacters);
    if (options.onLine === undefined) return;
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) options.onLine(line);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-keptCharacters);
  });
  // A program that does not read its input ends the pipe early; its exit status tells what matters.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  child.on('error', (cause: NodeJS.ErrnoException) => {
    const hint = options.hint === undefined ? {} : { hint: options.hint };
    if (cause.code === 'ENOENT')
      reject(new MachineError('tool-missing', `${command.file} is not installed`, { ...hint, cause }));
    else
      reject(new MachineError('tool-failed', `${command.file} cannot be run: ${cause.message}`, { cause }));
  });
  child.on('close', (status, signal) => {
    if (stopped !== undefined) reject(stopped);
    else if (status === null)
      reject(new MachineError('tool-failed', `${command.file} was killed by ${signal}`));
    else resolve({ status, stdout, stderr });
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** Like {@link run}, but a status other than 0 throws with the last lines the program printed. */
export async function runOrThrow(command: Command, options: RunOptions = {}): Promise<RunResult> {
  const result = await run(command, options);
  if (result.status === 0) return result;
  const last = `${result.stderr}\n${result.stdout}`.trim().split('\n').slice(-12).join('\n');
  throw new MachineError('tool-failed', `${command.file} failed with status ${result.status}:\n${last}`, {
    data: { args: command.args, status: result.status },
  });
}
