/**
 * The one error every parser of this room throws. A parser that meets bytes it cannot accept says what it
 * expected, what it found and where; it never lets a RangeError or TypeError of the runtime escape.
 */

export type FormatErrorCode =
  /** The input ends before the structure does. */
  | 'truncated'
  /** A magic number, signature or version is not the one of this format. */
  | 'not-this-format'
  /** The structure is recognised but a field contradicts the specification. */
  | 'malformed'
  /** A stored checksum or digest differs from the computed one. */
  | 'checksum'
  /** Well-formed, but bigger or deeper than the bounds this parser accepts. */
  | 'too-large'
  /** Well-formed, but uses a feature that is refused on purpose. */
  | 'unsupported'
  /** The object to encode cannot be expressed in this format. */
  | 'not-encodable';

export interface FormatErrorOptions {
  /** Byte offset into the parsed input at which the problem lies; absent when encoding. */
  readonly offset?: number;
  /** What the reader of the message can do about it. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly code: FormatErrorCode;
  readonly offset: number | undefined;
  readonly hint: string | undefined;

  constructor(code: FormatErrorCode, message: string, options: FormatErrorOptions = {}) {
    const where = options.offset === undefined ? '' : ` (at byte ${options.offset})`;
    super(message + where, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.offset = options.offset;
    this.hint = options.hint;
  }
}
