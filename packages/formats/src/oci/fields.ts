/** Typed, bounded access to the members of one JSON object; every complaint names where the member stands. */

import { FormatError } from '../bytes/index.ts';
import type { Digest } from './digest.ts';
import { isDigest } from './digest.ts';
import type { JsonObject } from './json.ts';
import { isObject, kindOf } from './json.ts';

/** Characters; annotations may hold a base64 signature. */
const longestText = 256 * 1024;
const mostItems = 10_000;

export class Fields {
  readonly #value: JsonObject;
  readonly #where: string;

  /** @throws FormatError when `value` is no object. */
  constructor(value: unknown, where: string) {
    if (!isObject(value))
      throw new FormatError('malformed', `${where}: expected an object, found ${kindOf(value)}`);
    this.#value = value;
    this.#where = where;
  }

  /** Refuses members that readers in other languages take for one of `known`, because only the case differs. */
  assertSpelling(known: readonly string[]): void {
    const folded = new Map(known.map((name) => [fold(name), name]));
    for (const name of Object.keys(this.#value)) {
      const meant = folded.get(fold(name));
      if (meant === undefined || meant === name) continue;
      throw new FormatError(
        'malformed',
        `${this.#where}: ${JSON.stringify(name)} would be read as ${meant} by some`,
      );
    }
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#value, name);
  }

  /** Undefined when absent or null. */
  get(name: string): unknown {
    return this.has(name) ? (this.#value[name] ?? undefined) : undefined;
  }

  where(name: string): string {
    return `${this.#where}.${name}`;
  }

  optionalText(name: string, longest: number = longestText): string | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw this.#wrong(name, 'a string', value);
    if (value.length > longest) {
      throw new FormatError(
        'too-large',
        `${this.where(name)}: ${value.length} characters, at most ${longest}`,
      );
    }
    return value;
  }

  text(name: string, longest?: number): string {
    const value = this.optionalText(name, longest);
    if (value === undefined) throw this.#wrong(name, 'a string', undefined);
    return value;
  }

  /** A whole number from 0 to 2^53 - 1. */
  size(name: string): number {
    const value = this.get(name);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.#wrong(name, 'a whole number of bytes, 0 or more', value);
  }

  digest(name: string): Digest {
    const text = this.text(name, 200);
    if (isDigest(text)) return text;
    throw this.#wrong(name, 'sha256: or sha512: and lower-case hex', text);
  }

  /** Absent is an empty list. */
  list(name: string, most: number = mostItems): readonly unknown[] {
    const value = this.get(name);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.#wrong(name, 'an array', value);
    if (value.length > most) {
      throw new FormatError('too-large', `${this.where(name)}: ${value.length} entries, at most ${most}`);
    }
    return value;
  }

  texts(name: string, most?: number): readonly string[] {
    return this.list(name, most).map((value, index) => {
      if (typeof value === 'string' && value.length <= longestText) return value;
      throw new FormatError(
        'malformed',
        `${this.where(name)}[${index}]: expected a string, found ${kindOf(value)}`,
      );
    });
  }

  /** Absent is an empty map. */
  textMap(name: string): ReadonlyMap<string, string> {
    const value = this.get(name);
    if (value === undefined) return new Map();
    if (!isObject(value)) throw this.#wrong(name, 'an object', value);
    const entries = Object.entries(value);
    if (entries.length > mostItems)
      throw new FormatError('too-large', `${this.where(name)}: too many members`);
    return new Map(
      entries.map(([key, member]) => {
        if (typeof member === 'string' && member.length <= longestText) return [key, member];
        throw new FormatError('malformed', `${this.where(name)}: ${JSON.stringify(key)} is no string`);
      }),
    );
  }

  #wrong(name: string, expected: string, found: unknown): FormatError {
    const shown = typeof found === 'string' ? JSON.stringify(found.slice(0, 80)) : kindOf(found);
    return new FormatError(
      'malformed',
      `${this.where(name)}: expected ${expected}, found ${found === undefined ? 'nothing' : shown}`,
    );
  }
}

/** As Go's encoding/json compares names: simple folding, in which ſ is s and the Kelvin sign is k. */
function fold(name: string): string {
  return name.toUpperCase().toLowerCase();
}
