/**
 * JSON documents of images, read so that nobody else can read them differently: RFC 8259 with I-JSON's rule that
 * names are unique (RFC 7493 section 2.3). Go's decoder takes a field's name in any case and the last of several,
 * JavaScript's the exact one: a document in which the two could differ is refused.
 */

import { FormatError } from '../bytes/index.ts';

/** Bytes; distribution-spec 1.1 wants registries to take manifests of at least 4 MiB. */
export const largestDocument: number = 4 * 1024 * 1024;
const maxDepth = 32;
const maxNames = 100_000;

export type JsonObject = Readonly<Record<string, unknown>>;

/** @throws FormatError unless `bytes` hold one JSON object within the bounds. */
export function parseDocument(bytes: Uint8Array, what: string): JsonObject {
  if (bytes.length > largestDocument) {
    throw new FormatError('too-large', `${what}: ${bytes.length} bytes, at most ${largestDocument} are read`);
  }
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError('malformed', `${what}: no JSON in UTF-8`, { cause });
  }
  assertUniqueNames(text, what);
  if (!isObject(value))
    throw new FormatError('malformed', `${what}: expected an object, found ${kindOf(value)}`);
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

/** `text` is known to be JSON; only nesting and the names of each object are looked at. */
function assertUniqueNames(text: string, what: string): void {
  const open: (Set<string> | undefined)[] = [];
  let names = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === 0x7b || character === 0x5b) {
      open.push(character === 0x7b ? new Set() : undefined);
      if (open.length > maxDepth) {
        throw new FormatError('too-large', `${what}: nested deeper than ${maxDepth}`, { offset: at });
      }
    } else if (character === 0x7d || character === 0x5d) {
      open.pop();
    } else if (character === 0x22) {
      const end = endOfString(text, at);
      const object = open.at(-1);
      if (object !== undefined && isName(text, end)) {
        const name = String(JSON.parse(text.slice(at, end)));
        names += 1;
        if (names > maxNames) throw new FormatError('too-large', `${what}: more than ${maxNames} members`);
        if (object.has(name)) {
          throw new FormatError('malformed', `${what}: ${JSON.stringify(name)} stands there twice`, {
            offset: at,
          });
        }
        object.add(name);
      }
      at = end - 1;
    }
  }
}

/** Behind the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== 0x22) at += text.charCodeAt(at) === 0x5c ? 2 : 1;
  return at + 1;
}

/** A string is a name when a colon follows. */
function isName(text: string, end: number): boolean {
  let at = end;
  while (' \t\r\n'.includes(text.charAt(at)) && at < text.length) at += 1;
  return text.charCodeAt(at) === 0x3a;
}
