/** Reading what the person named, so that every complaint about it says which file it is about. */

import { readFile } from 'node:fs/promises';
import type { Diagnostic } from '@osguard/events';
import { DiagnosticsError, OsguardError } from '@osguard/events';
import type { IpePolicy } from '@osguard/formats/ipe';

/** Runs a parser over the bytes of `file`; a FormatError gets the name of the file. */
export function parsing<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'FormatError') throw error;
    const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined;
    throw new OsguardError('bad-input', `${file}: ${error.message}`, {
      cause: error,
      data: { file },
      ...(hint !== undefined && { hint }),
    });
  }
}

export interface IpeFile {
  readonly policy: IpePolicy;
  readonly bytes: Uint8Array;
}

/** @throws DiagnosticsError with every reason the kernel has to refuse the policy. */
export async function readIpeFile(file: string): Promise<IpeFile> {
  const { checkIpePolicy } = await import('@osguard/formats/ipe');
  const bytes = await readFile(file);
  const { policy, diagnostics } = parsing(file, () => checkIpePolicy(bytes));
  const errors: Diagnostic[] = [];
  for (const diagnostic of diagnostics) {
    if (diagnostic.severity === 'error') errors.push({ ...diagnostic, file });
  }
  if (policy !== undefined && errors.length === 0) return { policy, bytes };
  const sources = new Map([[file, bytes.toString('latin1')]]);
  throw new DiagnosticsError(`${file} is no policy the kernel accepts`, errors, { sources });
}
