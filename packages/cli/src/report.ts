/** Any thrown value, as the one shape people and programs are told about failures in. */

import { dirname } from 'node:path';
import { DiagnosticsError, isAbort, OsguardError } from '@osguard/events';
import type { Diagnostic, ExitCode } from '@osguard/events';

/** Wrong use of the command line. */
export class UsageError extends OsguardError<'usage'> {
  override readonly name = 'UsageError';

  constructor(message: string, hint?: string) {
    super('usage', message, { exitCode: 2, ...(hint !== undefined && { hint }) });
  }
}

export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly diagnostics?: readonly Diagnostic[];
  readonly exitCode: ExitCode | 130;
}

/** What the operating system says often enough to deserve words and a hint. */
const systemErrors: ReadonlyMap<string, { says: string; exitCode: ExitCode; hint?: string }> = new Map([
  ['ENOENT', { says: 'no such file or folder', exitCode: 2 }],
  ['EACCES', { says: 'permission denied', exitCode: 2 }],
  ['EPERM', { says: 'not permitted', exitCode: 2 }],
  ['EEXIST', { says: 'exists already', exitCode: 2 }],
  ['EISDIR', { says: 'is a folder, a file was expected', exitCode: 2 }],
  ['ENOTDIR', { says: 'is no folder', exitCode: 2 }],
  ['ENOTEMPTY', { says: 'is not empty', exitCode: 2 }],
  ['EROFS', { says: 'the file system is read-only', exitCode: 3 }],
  ['ENOSPC', { says: 'no space left', exitCode: 3, hint: 'free some space, or choose another disk' }],
  ['EMFILE', { says: 'too many open files', exitCode: 3, hint: 'ulimit -n 4096' }],
]);

export function reportOf(error: unknown): ErrorReport {
  if (isAbort(error)) return { code: 'interrupted', message: 'interrupted', exitCode: 130 };
  if (error instanceof DiagnosticsError) {
    const { code, message, hint, diagnostics } = error;
    return { code, message, diagnostics, exitCode: error.exitCode, ...(hint !== undefined && { hint }) };
  }
  if (error instanceof OsguardError) return fromParts(error, error.exitCode);
  if (!(error instanceof Error)) return internal(String(error));
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (error.name === 'FormatError') return fromParts(error, 2);
  // Errors of a room that says of itself whether this machine is to blame.
  if ('environment' in error && 'hint' in error) return fromParts(error, error.environment === true ? 3 : 2);
  const system = code === undefined ? undefined : systemErrors.get(code);
  if (system !== undefined && 'syscall' in error) {
    const file = 'path' in error && typeof error.path === 'string' ? finalName(error.path) : undefined;
    const { says, exitCode } = system;
    const hint = system.hint ?? hintFor(code, file);
    const path = file === undefined ? '' : `${file}: `;
    return { code: code ?? '', message: path + says, exitCode, ...(hint !== undefined && { hint }) };
  }
  return internal(error.message);
}

/** Without what a file is called while it is being written: nobody named that. */
function finalName(path: string): string {
  return path.replace(/\/\.([^/]+)\.partial-[\w-]+$/, '/$1').replace(/\.partial-[\w-]+$|\.\d+\.tmp$/, '');
}

function hintFor(code: string | undefined, file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  if (code === 'EACCES') return `ls -ld ${dirname(file)} ${file} shows who may`;
  // A relative path was meant for another folder more often than it was misspelt.
  if (code !== 'ENOENT' || file.startsWith('/')) return undefined;
  try {
    return `looked in ${process.cwd()}`;
  } catch {
    return 'the folder you are in was removed';
  }
}

function fromParts(error: Error, exitCode: ExitCode): ErrorReport {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined;
  const data = error instanceof OsguardError ? error.data : undefined;
  const offset = 'offset' in error && typeof error.offset === 'number' ? { offset: error.offset } : undefined;
  return {
    code,
    message: error.message,
    exitCode,
    ...(hint !== undefined && { hint }),
    ...((data ?? offset) !== undefined && { data: { ...offset, ...data } }),
  };
}

function internal(message: string): ErrorReport {
  const hint = 'this is a mistake in osguard: run it again with --debug and report what it prints';
  return { code: 'internal', message, hint, exitCode: 3 };
}
