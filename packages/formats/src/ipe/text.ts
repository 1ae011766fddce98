/**
 * The text of a policy cut as the kernel cuts it: a C string of bytes, lines ended by LF or CR, `#` to the end of
 * the line is comment, tokens are separated by blanks and tabs. One character is one byte (Latin-1) throughout.
 */

import type { TextPosition, TextRange } from '@osguard/events';

export interface Token {
  readonly text: string;
  readonly range: TextRange;
}

/** A line with something on it; never without tokens. */
export interface Line {
  readonly tokens: readonly [Token, ...Token[]];
  readonly range: TextRange;
}

/** What the kernel's isspace() accepts at the end of a line: in its table 0xa0 is a space as well. */
const trailingSpace = /[\t\n\v\f\r \u00a0]+$/;

/** The part the kernel sees: it treats the policy as a C string, so everything behind a NUL is ignored. */
export function cString(bytes: Uint8Array): string {
  const nul = bytes.indexOf(0);
  const seen = nul === -1 ? bytes : bytes.subarray(0, nul);
  return Buffer.from(seen.buffer, seen.byteOffset, seen.byteLength).toString('latin1');
}

export function* lines(text: string): Generator<Line> {
  let start = 0;
  let number = 1;
  while (start <= text.length) {
    const end = lineEnd(text, start);
    const line = tokenize(text.slice(start, end), { line: number, column: 1, offset: start });
    if (line !== undefined) yield line;
    // The kernel ends a line at each CR and LF; people and editors count CR LF as one line.
    const crlf = text[end] === '\r' && text[end + 1] === '\n';
    start = end + (crlf ? 2 : 1);
    number += 1;
  }
}

export function rangeOf(start: TextPosition, length: number): TextRange {
  return {
    start,
    end: { line: start.line, column: start.column + length, offset: start.offset + length },
  };
}

function lineEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x0a || code === 0x0d) return at;
  }
  return text.length;
}

function tokenize(raw: string, at: TextPosition): Line | undefined {
  const comment = raw.indexOf('#');
  const code = (comment === -1 ? raw : raw.slice(0, comment)).replace(trailingSpace, '');
  const tokens: Token[] = [];
  for (const match of code.matchAll(/[^ \t]+/g)) {
    const start = { line: at.line, column: at.column + match.index, offset: at.offset + match.index };
    tokens.push({ text: match[0], range: rangeOf(start, match[0].length) });
  }
  const [first, ...rest] = tokens;
  if (first === undefined) return undefined;
  const last = tokens.at(-1) ?? first;
  return { tokens: [first, ...rest], range: { start: first.range.start, end: last.range.end } };
}
