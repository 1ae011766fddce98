/** Mistakes in a text somebody wrote (definition, IPE policy), each with the place it is at. */

import { OsguardError } from './error.ts';

/** A place in a text. */
export interface TextPosition {
  /** From 1. */
  readonly line: number;
  /** From 1, counted in UTF-16 units of the decoded text. */
  readonly column: number;
  /** From 0, in the same units as the text the parser was given (bytes for byte formats). */
  readonly offset: number;
}

/** From `start` up to, but not including, `end`. */
export interface TextRange {
  readonly start: TextPosition;
  readonly end: TextPosition;
}

export interface Diagnostic {
  readonly severity: 'error' | 'warning' | 'info';
  /** Stable name of the finding, for example `unknown-key`. */
  readonly code: string;
  readonly message: string;
  /** What to write instead. */
  readonly hint?: string;
  /** Name of the text as the person gave it; absent when there is only one. */
  readonly file?: string;
  readonly range?: TextRange;
}

export interface DiagnosticsErrorOptions {
  readonly hint?: string;
  /** The texts by file name (`''` for a diagnostic without file), so that excerpts can be shown. */
  readonly sources?: ReadonlyMap<string, string>;
}

/** All mistakes of one input at once. Exit code 2. */
export class DiagnosticsError extends OsguardError<'diagnostics'> {
  override readonly name = 'DiagnosticsError';
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;

  constructor(message: string, diagnostics: readonly Diagnostic[], options: DiagnosticsErrorOptions = {}) {
    super('diagnostics', message, {
      exitCode: 2,
      data: { diagnostics },
      ...(options.hint !== undefined && { hint: options.hint }),
    });
    this.diagnostics = diagnostics;
    this.sources = options.sources ?? new Map();
  }
}
