/** Independent tools that say whether our bytes are right. A test that cannot find its judge skips, and says so. */

import { spawnSync } from 'node:child_process';
import { accessSync, constants, globSync } from 'node:fs';
import { join } from 'node:path';
import { toolsFolder } from './installed.ts';

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

/** Programs of the trees that osguard made for tools, the judges' among them. */
let treeFolders: readonly string[] | undefined;

function* places(name: string): Generator<{ readonly path: string; readonly folder?: string }> {
  for (const folder of folders) if (folder !== '') yield { path: join(folder, name) };
  treeFolders ??= globSync(join(toolsFolder(), '*', 'bin')).sort();
  for (const folder of treeFolders) yield { path: join(folder, name), folder };
}

export interface JudgeOptions {
  /** The first number of what it prints for `--version` must be this at least. */
  readonly atLeast?: number;
}

/** The tool, or undefined when this machine lacks it: skip the test with {@link noJudge} as the reason. */
export function judge(name: string, { atLeast }: JudgeOptions = {}): Judge | undefined {
  for (const { path, folder } of places(name)) {
    if (!isProgram(path)) continue;
    const found = judgeAt(name, { path, ...(folder !== undefined && { folder }) });
    if (atLeast === undefined || versionOf(found) >= atLeast) return found;
  }
  return undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not in this folder: the next one may have it.
    return false;
  }
}

function versionOf(tool: Judge): number {
  return Number(/\d+/.exec(tool.run(['--version']).stdout)?.[0] ?? 0);
}

/** @param place With the folder of a tree, in which the helpers it calls are as well. */
function judgeAt(name: string, place: { readonly path: string; readonly folder?: string }): Judge {
  const { path, folder } = place;
  const search = [...(folder === undefined ? [] : [folder]), ...folders].join(':');
  return {
    name,
    path,
    run(args, options = {}) {
      const done = spawnSync(path, args, {
        cwd: options.cwd,
        input: options.input,
        env: { ...process.env, LC_ALL: 'C.UTF-8', PATH: search, ...options.env },
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
