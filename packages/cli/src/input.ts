/** Reading what the person named, so that every complaint about it says which file it is about. */

import { open } from 'node:fs/promises';
import type { Diagnostic } from '@osguard/events';
import { DiagnosticsError, OsguardError } from '@osguard/events';
import type { IpePolicy } from '@osguard/formats/ipe';

export interface InputLimits {
  /** Bytes. More than any good file of this kind has, and what memory can hold. */
  readonly most: number;
  /** For people: `an IPE policy`. */
  readonly what: string;
}

/** The whole file, or pipe. @throws OsguardError (`bad-input`) for a folder and for what is far too large */
export async function readInput(file: string, { most, what }: InputLimits): Promise<Buffer<ArrayBuffer>> {
  const handle = await open(file, 'r');
  try {
    const stats = await handle.stat();
    if (stats.isDirectory()) {
      throw new OsguardError('bad-input', `${file} is a folder, ${what} was expected`, { data: { file } });
    }
    const pieces: Buffer<ArrayBuffer>[] = [];
    let size = 0;
    // A pipe does not know its size, and a file may grow.
    while (size <= most) {
      const piece = Buffer.alloc(Math.min(64 * 1024, most + 1 - size));
      const { bytesRead } = await handle.read(piece, 0, piece.length, null);
      if (bytesRead === 0) return Buffer.concat(pieces, size);
      pieces.push(piece.subarray(0, bytesRead));
      size += bytesRead;
    }
    const { formatBytes } = await import('./render/format.ts');
    throw new OsguardError(
      'bad-input',
      `${file} is larger than ${formatBytes(most)}: no ${what.replace(/^an? /, '')}`,
      {
        data: { file },
      },
    );
  } finally {
    await handle.close();
  }
}

/** Bytes. The kernel takes a policy of a few pages; a person may have written comments. */
export const ipePolicyLimits: InputLimits = { most: 4 * 1024 * 1024, what: 'an IPE policy' };

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
  const bytes = await readInput(file, ipePolicyLimits);
  const { policy, diagnostics } = parsing(file, () => checkIpePolicy(bytes));
  const errors: Diagnostic[] = [];
  for (const diagnostic of diagnostics) {
    if (diagnostic.severity === 'error') errors.push({ ...diagnostic, file });
  }
  if (policy !== undefined && errors.length === 0) return { policy, bytes };
  const sources = new Map([[file, bytes.toString('latin1')]]);
  throw new DiagnosticsError(`${file} is no policy the kernel accepts`, errors, { sources });
}
