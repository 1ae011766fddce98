/**
 * Stanzas of fields: deb822(5), as in Packages and Release indexes, /var/lib/dpkg/status, .sources files and
 * machine-readable copyright files.
 */

import type { TextPosition } from '@osguard/events';
import { FormatError } from '../bytes/index.ts';

export interface Deb822Field {
  /** As written; names are compared without regard to case. */
  readonly name: string;
  /** Without the blanks around the first line; further lines follow after LF, without their first blank. */
  readonly value: string;
  /** Of the name. */
  readonly at: TextPosition;
}

export interface Stanza {
  readonly fields: readonly Deb822Field[];
  readonly at: TextPosition;
  /** The value of a field, whatever the case of its name. */
  get(name: string): string | undefined;
}

export interface Deb822Options {
  /** For messages. */
  readonly source?: string;
  /** Lines that start with `#` are comments, as in control and .sources files; false unless told otherwise. */
  readonly comments?: boolean;
}

/** The Packages index of all of Debian has 55 MB. Bytes. */
const maxSize = 512 * 1024 * 1024;
const maxFields = 10_000;

/** @throws FormatError with source, line and byte offset. */
export function* parseDeb822(bytes: Uint8Array, options: Deb822Options = {}): Generator<Stanza> {
  const { source = 'control data', comments = false } = options;
  if (bytes.length > maxSize) {
    throw new FormatError('too-large', `${source}: ${bytes.length} bytes; ${maxSize} are accepted`);
  }
  const builder = new StanzaBuilder(source);
  for (const { text, at } of lines(bytes, source)) {
    if (at.line === 1 && text.startsWith('-----BEGIN PGP')) {
      const hint = 'verify the signature first, then give the signed text alone';
      throw new FormatError('unsupported', `${source}: signed text`, { offset: 0, hint });
    }
    if (comments && text.startsWith('#')) continue;
    if (text.trim() === '') {
      const stanza = builder.finish();
      if (stanza !== undefined) yield stanza;
    } else {
      builder.add(text, at);
    }
  }
  const last = builder.finish();
  if (last !== undefined) yield last;
}

interface OpenField {
  readonly name: string;
  readonly at: TextPosition;
  readonly lines: string[];
}

class StanzaBuilder {
  readonly #source: string;
  #fields = new Map<string, OpenField>();
  #last: OpenField | undefined;

  constructor(source: string) {
    this.#source = source;
  }

  add(text: string, at: TextPosition): void {
    if (text.startsWith(' ') || text.startsWith('\t')) {
      if (this.#last === undefined) throw this.#malformed('a continued line continues nothing', at);
      this.#last.lines.push(text.slice(1).trimEnd());
      return;
    }
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(colon, 0));
    // Policy section 5.1: printable ASCII without blank and colon, not starting with # or -.
    if (!/^[!"$-,.-9;-~][!-9;-~]*$/.test(name)) throw this.#malformed('expected `Name: value`', at);
    const key = name.toLowerCase();
    const before = this.#fields.get(key);
    if (before !== undefined) throw this.#malformed(`${name} stands on line ${before.at.line} already`, at);
    if (this.#fields.size >= maxFields) {
      throw new FormatError('too-large', `${this.#source}:${at.line}: more than ${maxFields} fields`);
    }
    this.#last = { name, at, lines: [text.slice(colon + 1).trim()] };
    this.#fields.set(key, this.#last);
  }

  finish(): Stanza | undefined {
    const open = this.#fields;
    const [first] = open.values();
    this.#fields = new Map();
    this.#last = undefined;
    if (first === undefined) return undefined;
    return {
      fields: [...open.values()].map(({ name, at, lines: parts }) => ({ name, at, value: parts.join('\n') })),
      at: first.at,
      get: (name) => open.get(name.toLowerCase())?.lines.join('\n'),
    };
  }

  #malformed(what: string, at: TextPosition): FormatError {
    return new FormatError('malformed', `${this.#source}:${at.line}: ${what}`, { offset: at.offset });
  }
}

function* lines(bytes: Uint8Array, source: string): Generator<{ text: string; at: TextPosition }> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let number = 1;
  for (let start = 0; start < buffer.length; number += 1) {
    const newline = buffer.indexOf(0x0a, start);
    const end = newline === -1 ? buffer.length : newline;
    const text = buffer.toString('utf8', start, end).replace(/\r$/, '');
    if (text.includes('\0')) {
      throw new FormatError('malformed', `${source}:${number}: a NUL byte`, { offset: start });
    }
    yield { text, at: { line: number, column: 1, offset: start } };
    start = end + 1;
  }
}
