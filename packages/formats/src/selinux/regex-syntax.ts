/**
 * The part of PCRE2's syntax that file_contexts uses, as a tree: bytes, classes, groups, alternatives and
 * quantifiers. What would need backtracking (back references, look-around, possessive and atomic groups) is refused,
 * so that matching can be linear in the path whatever the pattern is.
 */

import { FormatError } from '../bytes/index.ts';

export type RegexNode =
  /** One byte out of a set of 256. */
  | { readonly kind: 'set'; readonly set: ByteSet }
  | { readonly kind: 'sequence'; readonly parts: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly branches: readonly RegexNode[] }
  /** `max` is absent when unbounded. */
  | { readonly kind: 'repeat'; readonly part: RegexNode; readonly min: number; readonly max?: number };

/** 256 entries, 1 where the byte belongs to the set. */
export type ByteSet = Uint8Array;

const maxDepth = 64;
/** PCRE2's own bound of a counted repeat is 65535; patterns this large never occur in a policy. */
const maxCount = 255;

const escapes: ReadonlyMap<string, number> = new Map([
  ['a', 0x07],
  ['e', 0x1b],
  ['f', 0x0c],
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
]);

export function setOf(has: (byte: number) => boolean): ByteSet {
  return Uint8Array.from({ length: 256 }, (_, byte) => (has(byte) ? 1 : 0));
}

const singles = Array.from({ length: 256 }, (_, code) => setOf((byte) => byte === code));
const empty = new Uint8Array(256);

export function single(code: number): ByteSet {
  return singles[code] ?? empty;
}

function union(a: ByteSet, b: ByteSet): ByteSet {
  return setOf((byte) => a[byte] === 1 || b[byte] === 1);
}

function complement(set: ByteSet): ByteSet {
  return setOf((byte) => set[byte] === 0);
}

const digits = setOf((byte) => byte >= 0x30 && byte <= 0x39);
const spaces = setOf((byte) => (byte >= 0x09 && byte <= 0x0d) || byte === 0x20);
const upper = setOf((byte) => byte >= 0x41 && byte <= 0x5a);
const lower = setOf((byte) => byte >= 0x61 && byte <= 0x7a);
const alpha = union(upper, lower);
const alnum = union(alpha, digits);
const word = union(alnum, single(0x5f));
export const anyByte: ByteSet = setOf(() => true);

/** The classes of the C locale, in which libselinux compiles its patterns. */
const namedSets: ReadonlyMap<string, ByteSet> = new Map([
  ['alnum', alnum],
  ['alpha', alpha],
  ['blank', union(single(0x20), single(0x09))],
  ['digit', digits],
  ['lower', lower],
  ['punct', setOf((byte) => byte > 0x20 && byte < 0x7f && alnum[byte] === 0)],
  ['space', spaces],
  ['upper', upper],
  ['word', word],
  ['xdigit', setOf((byte) => /[0-9a-fA-F]/.test(String.fromCharCode(byte)))],
]);

const classEscapes: ReadonlyMap<string, ByteSet> = new Map([
  ['d', digits],
  ['D', complement(digits)],
  ['s', spaces],
  ['S', complement(spaces)],
  ['w', word],
  ['W', complement(word)],
]);

export interface ParsedRegex {
  /** The alternatives of the outermost level: libselinux anchors the text around them, so they differ. */
  readonly branches: readonly RegexNode[];
}

/** @throws FormatError `malformed` when PCRE2 would refuse it too, `unsupported` for what is refused here on purpose. */
export function parseRegex(pattern: string): ParsedRegex {
  const parser = new RegexParser(pattern);
  return { branches: parser.all() };
}

class RegexParser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  all(): RegexNode[] {
    const branches = this.#branches();
    if (this.#at < this.#text.length) throw this.#malformed('unmatched )');
    return branches;
  }

  #branches(): RegexNode[] {
    const branches = [this.#sequence()];
    while (this.#take('|')) branches.push(this.#sequence());
    return branches;
  }

  #sequence(): RegexNode {
    const parts: RegexNode[] = [];
    while (this.#at < this.#text.length && this.#peek() !== '|' && this.#peek() !== ')') {
      const part = this.#anchor() ? undefined : this.#repeated(this.#atom());
      if (part !== undefined) parts.push(part);
    }
    return { kind: 'sequence', parts };
  }

  /** `^` and `$` where they say what libselinux adds anyway. */
  #anchor(): boolean {
    const char = this.#peek();
    if (char !== '^' && char !== '$') return false;
    const redundant = char === '^' ? this.#at === 0 : this.#at === this.#text.length - 1;
    if (!redundant) throw this.#unsupported(`${char} inside the pattern`);
    this.#at += 1;
    return true;
  }

  #atom(): RegexNode {
    const char = this.#next();
    switch (char) {
      case '.':
        return { kind: 'set', set: anyByte };
      case '[':
        return { kind: 'set', set: this.#class() };
      case '(':
        return this.#group();
      case '\\':
        return { kind: 'set', set: this.#escape() };
      case '*':
      case '+':
      case '?':
        throw this.#malformed(`${char} has nothing to repeat`);
      default:
        return { kind: 'set', set: single(char.charCodeAt(0)) };
    }
  }

  #group(): RegexNode {
    if (this.#peek() === '?' && !this.#takeText('?:')) throw this.#unsupported('(? other than (?:');
    if (this.#peek() === '*') throw this.#unsupported('(*');
    this.#depth += 1;
    if (this.#depth > maxDepth) throw this.#tooLarge(`groups nested deeper than ${maxDepth}`);
    const branches = this.#branches();
    this.#depth -= 1;
    if (!this.#take(')')) throw this.#malformed('missing )');
    return { kind: 'choice', branches };
  }

  #repeated(atom: RegexNode): RegexNode {
    const range = this.#quantifier();
    if (range === undefined) return atom;
    // A lazy quantifier matches the same paths; a possessive one does not.
    if (!this.#take('?') && this.#peek() === '+') throw this.#unsupported('possessive quantifier');
    if (this.#quantifierFollows()) throw this.#unsupported('a quantifier behind a quantifier');
    return { kind: 'repeat', part: atom, ...range };
  }

  #quantifier(): { min: number; max?: number } | undefined {
    if (this.#take('*')) return { min: 0 };
    if (this.#take('+')) return { min: 1 };
    if (this.#take('?')) return { min: 0, max: 1 };
    const counted = this.#counted();
    if (counted === undefined) return undefined;
    this.#at += counted[0].length;
    const min = Number(counted[1]);
    const max = counted[2] === undefined ? min : counted[3] === '' ? undefined : Number(counted[3]);
    if (Math.max(min, max ?? 0) > maxCount) throw this.#tooLarge(`a repeat of more than ${maxCount}`);
    if (max !== undefined && max < min) throw this.#malformed('numbers out of order in {}');
    return { min, ...(max !== undefined && { max }) };
  }

  /** `{2}`, `{2,}` or `{2,3}`; any other brace is a literal, except `{,3}` which PCRE2 versions read differently. */
  #counted(): RegExpExecArray | undefined {
    if (this.#peek() !== '{') return undefined;
    const rest = this.#text.slice(this.#at, this.#at + 24);
    if (/^\{\s*,\s*\d+\s*\}/.test(rest)) throw this.#unsupported('{,n}');
    return /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(rest) ?? undefined;
  }

  #quantifierFollows(): boolean {
    return ['*', '+', '?'].includes(this.#peek()) || this.#counted() !== undefined;
  }

  #escape(): ByteSet {
    const char = this.#next();
    const named = classEscapes.get(char);
    if (named !== undefined) return named;
    return single(this.#escapedByte(char));
  }

  #escapedByte(char: string): number {
    if (char === 'x') {
      const hex = /^[0-9a-fA-F]{2}/.exec(this.#text.slice(this.#at));
      if (hex === null) throw this.#unsupported('\\x without two digits');
      this.#at += 2;
      return Number.parseInt(hex[0], 16);
    }
    const known = escapes.get(char);
    if (known !== undefined) return known;
    if (/[0-9A-Za-z]/.test(char)) throw this.#unsupported(`\\${char}`);
    return char.charCodeAt(0);
  }

  #class(): ByteSet {
    const set = new Uint8Array(256);
    const negated = this.#take('^');
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      const item = this.#classItem();
      if (typeof item === 'number') this.#classRange(set, item);
      else add(set, item);
    }
    this.#at += 1;
    return negated ? complement(set) : set;
  }

  #classRange(set: ByteSet, from: number): void {
    const dash = this.#peek() === '-' && this.#text[this.#at + 1] !== ']';
    if (!dash) {
      set[from] = 1;
      return;
    }
    this.#at += 1;
    const to = this.#classItem();
    if (typeof to !== 'number') throw this.#unsupported('a class as the end of a range');
    if (to < from) throw this.#malformed('range out of order in []');
    set.fill(1, from, to + 1);
  }

  #classItem(): number | ByteSet {
    const char = this.#next('missing ]');
    if (char === '[') {
      const posix = /^:(\^?)(\w+):\]/.exec(this.#text.slice(this.#at, this.#at + 16));
      if (posix === null) {
        if (/^[.=:]/.test(this.#peek())) throw this.#unsupported(`[${this.#peek()} inside []`);
        return 0x5b;
      }
      const named = namedSets.get(posix[2] ?? '');
      if (named === undefined) throw this.#malformed(`unknown class [:${posix[2]}:]`);
      this.#at += posix[0].length;
      return posix[1] === '^' ? complement(named) : named;
    }
    if (char !== '\\') return char.charCodeAt(0);
    const escaped = this.#next();
    if (escaped === 'b') return 0x08;
    return classEscapes.get(escaped) ?? this.#escapedByte(escaped);
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #next(atEnd = 'the pattern ends too early'): string {
    const char = this.#text[this.#at];
    if (char === undefined) throw this.#malformed(atEnd);
    this.#at += 1;
    return char;
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at += 1;
    return true;
  }

  #takeText(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #malformed(what: string): FormatError {
    return new FormatError('malformed', `regular expression ${this.#where()}: ${what}`);
  }

  #unsupported(what: string): FormatError {
    return new FormatError('unsupported', `regular expression ${this.#where()}: ${what} is not supported`);
  }

  #tooLarge(what: string): FormatError {
    return new FormatError('too-large', `regular expression ${this.#where()}: ${what}`);
  }

  #where(): string {
    const short = this.#text.length > 80 ? `${this.#text.slice(0, 77)}…` : this.#text;
    return `${JSON.stringify(short)} at ${this.#at}`;
  }
}

function add(set: ByteSet, more: ByteSet): void {
  for (let byte = 0; byte < 256; byte += 1) if (more[byte] === 1) set[byte] = 1;
}
