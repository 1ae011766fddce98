/** The base of every error a person may see: what happened, what to do about it, and what the command returns. */

/** 1 the answer is no (verification failed, denied), 2 wrong use or bad input, 3 this machine lacks something. */
export type ExitCode = 1 | 2 | 3;

export interface OsguardErrorOptions {
  /** What the reader can do, best as the next command to run. */
  readonly hint?: string;
  /** What a program needs to know; must survive JSON and never holds a secret. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** 2 unless told otherwise. */
  readonly exitCode?: ExitCode;
  readonly cause?: unknown;
}

/** Each room extends this with the literal union of its codes. */
export class OsguardError<Code extends string = string> extends Error {
  override readonly name: string = 'OsguardError';
  readonly code: Code;
  readonly hint: string | undefined;
  readonly data: Readonly<Record<string, unknown>> | undefined;
  readonly exitCode: ExitCode;

  constructor(code: Code, message: string, options: OsguardErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.data = options.data;
    this.exitCode = options.exitCode ?? 2;
  }
}
