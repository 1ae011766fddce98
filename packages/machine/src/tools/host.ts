/** What the host itself offers of a tool set: where each program lies and whether its version is known to work. */

import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';

import { run } from '../process/run.ts';
import type { HostRule, ToolSet } from './table.ts';

export interface HostProgram {
  readonly program: string;
  readonly path: string | undefined;
  /** As printed, for example `10.0.13`; undefined when the program is missing or prints no number. */
  readonly version: string | undefined;
  readonly atLeast: string;
  readonly ok: boolean;
}

export interface HostState {
  readonly ok: boolean;
  readonly programs: readonly HostProgram[];
  readonly missingFiles: readonly string[];
}

const folders = (): string[] =>
  [
    ...(process.env['PATH'] ?? '').split(':'),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    '/usr/bin',
    '/bin',
  ].filter((folder) => folder.startsWith('/'));

/** Path of a program on PATH or in the system folders a user's PATH may lack; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  for (const folder of folders()) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next folder may have it.
    }
  }
  return undefined;
}

/** The first dotted number in what a program prints about itself. */
export function parseVersion(text: string): string | undefined {
  return /(?<![\d.])(\d+(?:\.\d+)+)/.exec(text)?.[1];
}

export function isAtLeast(version: string, least: readonly number[]): boolean {
  const have = version.split('.').map(Number);
  for (const [index, number] of least.entries()) {
    const mine = have[index] ?? 0;
    if (mine !== number) return mine > number;
  }
  return true;
}

async function examine(rule: HostRule): Promise<HostProgram> {
  const path = findProgram(rule.program);
  const atLeast = rule.atLeast.join('.');
  if (path === undefined) return { program: rule.program, path, version: undefined, atLeast, ok: false };
  const version = await run({ file: path, args: rule.versionArgs, env: {} }, { timeoutMs: 20_000 }).then(
    ({ stdout, stderr }) => parseVersion(stdout) ?? parseVersion(stderr),
    () => undefined,
  );
  const ok = rule.atLeast.length === 0 || (version !== undefined && isAtLeast(version, rule.atLeast));
  return { program: rule.program, path, version, atLeast, ok };
}

export async function examineHost(set: ToolSet): Promise<HostState> {
  const programs = await Promise.all(set.host.map(examine));
  const missingFiles = set.hostFiles.filter((path) => !existsSync(path));
  return { ok: missingFiles.length === 0 && programs.every((program) => program.ok), programs, missingFiles };
}
