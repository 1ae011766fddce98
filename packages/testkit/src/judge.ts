/** Independent tools that say whether our bytes are right. A test that cannot find its judge skips, and says so. */

import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

export interface JudgeResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Judge {
  readonly name: string;
  readonly path: string;
  /** Runs the tool to its end; a judge that is killed or cannot start throws. */
  run(args: readonly string[], options?: JudgeRunOptions): JudgeResult;
}

export interface JudgeRunOptions {
  readonly cwd?: string;
  readonly input?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

function find(name: string): string | undefined {
  for (const folder of folders) {
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder: the next one may have it.
    }
  }
  return undefined;
}

/** The tool, or undefined when this machine lacks it: skip the test with {@link noJudge} as the reason. */
export function judge(name: string): Judge | undefined {
  const path = find(name);
  if (path === undefined) return undefined;
  return {
    name,
    path,
    run(args, options = {}) {
      const done = spawnSync(path, args, {
        cwd: options.cwd,
        input: options.input,
        env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env },
        maxBuffer: 256 * 1024 * 1024,
      });
      if (done.error !== undefined) throw done.error;
      if (done.status === null) throw new Error(`${name} was killed by ${done.signal}`);
      return { status: done.status, stdout: done.stdout.toString(), stderr: done.stderr.toString() };
    },
  };
}

export function noJudge(name: string): string {
  return `${name} is not on this machine (./test installs it)`;
}
