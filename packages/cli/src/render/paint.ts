/** Colours and safe text. Honours NO_COLOR, FORCE_COLOR and TERM=dumb; nothing but plain text when piped. */

import type { Io, OutputStream } from '../io.ts';

export type Style = (text: string) => string;

export interface Paint {
  readonly color: boolean;
  /** True when the locale can show more than ASCII. */
  readonly unicode: boolean;
  readonly bold: Style;
  readonly dim: Style;
  readonly red: Style;
  readonly green: Style;
  readonly yellow: Style;
  readonly cyan: Style;
}

export function paintFor(io: Io, stream: OutputStream): Paint {
  const color = wantsColor(io.env, stream.isTTY === true);
  const locale = io.env['LC_ALL'] || io.env['LC_CTYPE'] || io.env['LANG'] || '';
  const style =
    (open: number, close: number): Style =>
    (text) =>
      color && text !== '' ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return {
    color,
    unicode: /utf-?8/i.test(locale),
    bold: style(1, 22),
    dim: style(2, 22),
    red: style(31, 39),
    green: style(32, 39),
    yellow: style(33, 39),
    cyan: style(36, 39),
  };
}

function wantsColor(env: Io['env'], isTTY: boolean): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '') !== '') return env['FORCE_COLOR'] !== '0';
  return isTTY && env['TERM'] !== 'dumb';
}

/**
 * Text that came from files, images or tools, made harmless for a terminal: control characters (escape sequences
 * too) and bidirectional overrides are shown as escapes. Newlines and tabs stay only when asked for.
 */
export function printable(text: string, options: { readonly lines?: boolean } = {}): string {
  return text.replaceAll(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu, (char) => {
    if (options.lines === true && (char === '\n' || char === '\t')) return char;
    const code = char.codePointAt(0) ?? 0;
    if (code === 0x09) return '    ';
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
