/**
 * One way only to write a JSON value, so that a digest over it means something: RFC 8785 (JCS) restricted to
 * integers. Keys sorted by UTF-16 code units, no white space, numbers within ±(2^53 - 1).
 */

import { FormatError } from '../bytes/index.ts';

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

const maxDepth = 64;

/** @throws FormatError (`not-encodable`) for fractions, lone surrogates, undefined values and deep nesting. */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

/** @throws FormatError unless `bytes` is exactly what canonicalJson writes: this also excludes duplicate keys. */
export function parseCanonicalJson(bytes: Uint8Array, what = 'JSON'): JsonValue {
  const text = decodeUtf8(bytes, what);
  let value: JsonValue;
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what JSON.parse returns
    value = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new FormatError('malformed', `${what}: no JSON`, { cause });
  }
  const again = canonicalOf(value, what);
  if (again === text) return value;
  let offset = 0;
  while (again[offset] === text[offset]) offset += 1;
  throw new FormatError('malformed', `${what}: not in canonical form`, { offset });
}

function canonicalOf(value: unknown, what: string): string {
  try {
    return write(value, 0);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new FormatError('malformed', `${what}: ${cause.message}`, { cause });
  }
}

function decodeUtf8(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError('malformed', `${what}: not UTF-8`, { cause });
  }
}

function write(value: unknown, depth: number): string {
  if (depth > maxDepth) throw new FormatError('not-encodable', `nested deeper than ${maxDepth}`);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      throw new FormatError('not-encodable', `${value} is no integer within ±(2^53 - 1)`);
    }
    return String(value);
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new FormatError('not-encodable', 'a string holds half a character');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`;
  if (typeof value === 'object') {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, member]) => `${write(key, 0)}:${write(member, depth + 1)}`).join(',')}}`;
  }
  throw new FormatError('not-encodable', `a ${typeof value} has no place in JSON`);
}
