/** Header fields registries speak in: WWW-Authenticate (RFC 9110 section 11.6.1), Link (RFC 8288), Content-Range. */

import { FormatError } from '../bytes/index.ts';

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Characters. */
const longest = 16 * 1024;
const longestLink = 4 * 1024;
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const quoted = /"((?:[^"\\]|\\[\t -~])*)"/y;
const credentials68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
const space = /[ \t]*/y;
const mostChallenges = 16;

/** One field value, or several joined by `, `. @throws FormatError */
export function parseChallenges(value: string): readonly Challenge[] {
  if (value.length > longest) throw new FormatError('too-large', 'WWW-Authenticate: too long');
  const scan = new Scanner(value);
  const challenges: { readonly scheme: string; readonly parameters: Map<string, string> }[] = [];
  for (;;) {
    while (scan.skip(',')) continue;
    if (scan.done) return challenges;
    const name = scan.need(token, 'a scheme or parameter').toLowerCase();
    if (scan.skip('=')) {
      const text = scan.take(quoted)?.replaceAll(/\\(.)/g, '$1') ?? scan.need(token, 'a value');
      const challenge = challenges.at(-1);
      if (challenge === undefined) throw scan.wrong('a parameter before any scheme');
      if (challenge.parameters.has(name)) throw scan.wrong(`${name} twice`);
      challenge.parameters.set(name, text);
      if (!scan.done && !scan.skip(',')) throw scan.wrong('a comma is missing');
    } else {
      challenges.push({ scheme: name, parameters: new Map() });
      if (challenges.length > mostChallenges)
        throw new FormatError('too-large', 'WWW-Authenticate: too many schemes');
      // A token68 (Negotiate, NTLM) says nothing to us, but has to be stepped over.
      if (!scan.parameterFollows()) scan.take(credentials68);
    }
  }
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.take(space);
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  /** The match (or its first group) and the white space behind it are consumed. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at += match[0].length;
    if (pattern !== space) this.take(space);
    return match[1] ?? match[0];
  }

  need(pattern: RegExp, what: string): string {
    const found = this.take(pattern);
    if (found === undefined) throw this.wrong(`expected ${what}`);
    return found;
  }

  skip(character: string): boolean {
    if (this.#text.charAt(this.#at) !== character) return false;
    this.#at += 1;
    this.take(space);
    return true;
  }

  parameterFollows(): boolean {
    const start = this.#at;
    const isParameter = this.take(token) !== undefined && this.skip('=') && !this.done && !this.skip('=');
    const atComma = this.#text.charAt(this.#at) === ',';
    this.#at = start;
    return isParameter && !atComma;
  }

  wrong(why: string): FormatError {
    return new FormatError('malformed', `WWW-Authenticate: ${why}`, { offset: this.#at });
  }
}

/** The target of `rel="next"`, as written; undefined when there is none. */
export function nextLink(value: string): string | undefined {
  if (value.length > longestLink) throw new FormatError('too-large', 'Link: too long');
  for (const [, target = '', parameters = ''] of value.matchAll(/<([^<>]*)>((?:[^,"<]|"[^"]*")*)/g)) {
    if (/;\s*rel\s*=\s*"?(?:[^";]*\s)?next(?:\s[^";]*)?"?\s*(?:;|$)/i.test(parameters)) return target;
  }
  return undefined;
}

export interface ContentRange {
  /** Offset of the first byte. */
  readonly first: number;
  /** Offset of the last byte. */
  readonly last: number;
  /** Bytes of the whole; undefined when the server does not say. */
  readonly size: number | undefined;
}

/** RFC 9110 section 14.4. Undefined for anything but a satisfied range of bytes. */
export function parseContentRange(value: string): ContentRange | undefined {
  const [, first, last, size] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(value) ?? [];
  if (first === undefined || last === undefined) return undefined;
  const range = { first: Number(first), last: Number(last), size: size === '*' ? undefined : Number(size) };
  return range.last < range.first || (range.size !== undefined && range.last >= range.size)
    ? undefined
    : range;
}
