/** Names in directories: which are legal, and their order. Text to bytes and back is that of all formats. */

import { encodeText, FormatError } from '../bytes/index.ts';
import { maxNameLength } from './layout.ts';

/** The bytes of one directory entry's name. @throws FormatError for what cannot name a file. */
export function encodeName(name: string): Uint8Array {
  const bytes = encodeText(name);
  const illegal = name === '' || name === '.' || name === '..' || /[/\0]/.test(name);
  if (illegal || bytes.length > maxNameLength) {
    throw new FormatError('not-encodable', `${JSON.stringify(name.slice(0, 300))} cannot name a file`);
  }
  return bytes;
}

const surrogate = /[\ud800-\udfff]/;

/**
 * Sorts in place by the bytes of the names, as directories are stored. UTF-16 order is the same as long as no name
 * holds a surrogate, and comparing strings is several times faster than comparing their bytes.
 */
export function sortByName<T extends { readonly name: string }>(items: T[]): T[] {
  if (!items.some((item) => surrogate.test(item.name))) {
    return items.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }
  const sorted = items
    .map((item) => ({ item, bytes: encodeText(item.name) }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  for (const [index, { item }] of sorted.entries()) items[index] = item;
  return items;
}

/** Bytes of a name on disk. */
export function nameLength(name: string): number {
  return name.isWellFormed() ? Buffer.byteLength(name) : encodeText(name).length;
}

/** The components of a path whose root is `/` or the empty string; a leading slash is optional. */
export function splitPath(path: string): readonly string[] {
  const relative = path.startsWith('/') ? path.slice(1) : path;
  return relative === '' ? [] : relative.split('/');
}
