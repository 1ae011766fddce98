/**
 * Debian's machine-readable copyright files (copyright-format 1.0, DEP-5) to one SPDX licence expression for the whole
 * package: every licence of every `Files` stanza, joined by AND.
 */

import { FormatError } from '../bytes/index.ts';
import { parseDeb822 } from '../deb822/index.ts';
import { spdxException, spdxLicense } from './license-names.ts';

export interface DeclaredLicense {
  /** SPDX expression; undefined when the file is not machine-readable or names no licence. */
  readonly expression?: string;
  /** Debian's names by the LicenseRef the expression uses for them. */
  readonly references: ReadonlyMap<string, string>;
}

const undeclared: DeclaredLicense = { references: new Map() };
const format = /^https?:\/\/(?:www\.)?debian\.org\/doc\/packaging-manuals\/copyright-format\/1\.0\/?$/;
/** Of one License line; it is cut in two again and again, never deeper than it has words. */
const maxWords = 300;

/** Never throws: what cannot be read is not declared. */
export function declaredLicense(copyright: Uint8Array): DeclaredLicense {
  let names: string[];
  try {
    names = licenseNames(copyright);
  } catch (error) {
    if (error instanceof FormatError) return undeclared;
    throw error;
  }
  const references = new Map<string, string>();
  const terms = new Set(names.flatMap((name) => andTerms(debianLicenseExpression(name, references))));
  if (terms.size === 0) return undeclared;
  const sorted = [...terms].sort();
  return {
    expression: sorted.length === 1 ? (sorted[0] ?? '') : sorted.map(inAnd).join(' AND '),
    references,
  };
}

/** The parts of an expression that all apply; one that offers a choice is a part as it is. */
function andTerms(expression: string): string[] {
  const terms: string[] = [];
  let depth = 0;
  let term = '';
  for (const word of expression.split(' ')) {
    depth += word.split('(').length - word.split(')').length;
    if (depth === 0 && word === 'OR') return [expression];
    if (depth === 0 && word === 'AND') {
      terms.push(term);
      term = '';
    } else {
      term = term === '' ? word : `${term} ${word}`;
    }
  }
  // A choice in parentheses loses them: they are given again where it is joined with others.
  return [...terms, term].map((one) => (/^\([^()]*\)$/.test(one) ? one.slice(1, -1) : one));
}

function licenseNames(copyright: Uint8Array): string[] {
  const [header, ...stanzas] = parseDeb822(copyright, { source: 'copyright' });
  if (!format.test(header?.get('Format') ?? '')) return [];
  const names = stanzas
    .filter((stanza) => stanza.get('Files') !== undefined)
    .map((stanza) => (stanza.get('License') ?? '').split('\n', 1)[0]?.trim() ?? '')
    .filter((name) => name !== '');
  const whole = header?.get('License')?.split('\n', 1)[0]?.trim() ?? '';
  return names.length > 0 || whole === '' ? names : [whole];
}

/**
 * One `License:` line as SPDX: `A or B`, `A and B`, `A, and B` (a comma binds least), `A with X exception`. Names
 * without SPDX counterpart become LicenseRefs, which are added to `references`.
 */
export function debianLicenseExpression(line: string, references: Map<string, string>): string {
  return new LicenseLine(line, references).expression();
}

class LicenseLine {
  readonly #line: string;
  readonly #references: Map<string, string>;

  constructor(line: string, references: Map<string, string>) {
    this.#line = line.replaceAll(/\s+/g, ' ').trim();
    this.#references = references;
  }

  expression(): string {
    // Free text where a short name belongs: no expression can be read out of it.
    if (this.#line.length > 2000 || this.#line.split(' ').length > maxWords)
      return this.#reference(this.#line);
    return this.#parse(this.#line);
  }

  /** Loosest first: comma, then "or", then "and". */
  #parse(text: string): string {
    for (const [separator, operator] of [
      [/, (?:and )/i, ' AND '],
      [/, (?:or )/i, ' OR '],
      [/ or /i, ' OR '],
      [/ and /i, ' AND '],
    ] as const) {
      const parts = text.split(separator).map((part) => part.trim());
      if (parts.length < 2 || parts.includes('')) continue;
      const wrap = operator === ' AND ' ? inAnd : inOr;
      return parts.map((part) => wrap(this.#parse(part))).join(operator);
    }
    return this.#single(text);
  }

  #single(text: string): string {
    const [, base, exception] = /^(\S+) with (?:the )?(.+?)(?: exceptions?)?$/i.exec(text) ?? [];
    if (base === undefined || exception === undefined) return spdxLicense(text) ?? this.#reference(text);
    const license = spdxLicense(base);
    const known = spdxException(exception);
    // A licence with an exception nobody knows is not the licence without it.
    return license === undefined || known === undefined ? this.#reference(text) : `${license} WITH ${known}`;
  }

  #reference(name: string): string {
    const id = name
      .replaceAll(/[^0-9A-Za-z.-]+/g, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, 60);
    for (let count = 0; ; count += 1) {
      const reference = `LicenseRef-Debian-${id || 'unnamed'}${count === 0 ? '' : `-${count}`}`;
      const taken = this.#references.get(reference);
      if (taken !== undefined && taken !== name) continue;
      this.#references.set(reference, name);
      return reference;
    }
  }
}

function inAnd(expression: string): string {
  return expression.includes(' OR ') ? `(${expression})` : expression;
}

function inOr(expression: string): string {
  return expression.includes(' AND ') ? `(${expression})` : expression;
}
