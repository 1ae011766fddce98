/**
 * Every distinct xattr of an image once. Thousands of files carry the same few SELinux labels: what two inodes or
 * more have in common goes to the shared area and costs each of them an id of 4 bytes.
 */

import { FormatError } from '../bytes/index.ts';
import { roundUp } from './layout.ts';
import { encodeXattr, xattrAreaSize, xattrCountOf } from './xattr.ts';

export interface PooledXattr {
  readonly bytes: Uint8Array;
  /** The same bytes as a string that compares like them. */
  readonly key: string;
  uses: number;
  /** Bytes from the start of the shared area; -1 while the entry is stored inline. */
  sharedAt: number;
}

/** The xattrs of an inode, in the order they are stored; equal sets are the same object. */
export interface XattrSet {
  readonly entries: readonly PooledXattr[];
}

export const noXattrs: XattrSet = { entries: [] };

const maxShared = 255;

export class XattrPool {
  readonly #entries = new Map<string, PooledXattr>();
  readonly #sets = new Map<string, XattrSet>();

  intern(xattrs: ReadonlyMap<string, Uint8Array> | undefined): XattrSet {
    if (xattrs === undefined || xattrs.size === 0) return noXattrs;
    return this.#setOf(Array.from(xattrs, ([name, value]) => this.#entry(encodeXattr(name, value))));
  }

  /** The set with one more attribute, or another value of one it has. */
  extend(set: XattrSet, name: string, value: Uint8Array): XattrSet {
    const added = this.#entry(encodeXattr(name, value));
    const others = set.entries.filter((entry) => nameOf(entry) !== nameOf(added));
    return this.#setOf([...others, added]);
  }

  /** Decides what is shared, from the use counts, and returns the shared area. Sorted: arrival order has no say. */
  layOutShared(): Uint8Array {
    const shared = [...this.#entries.values()].filter((entry) => entry.uses > 1);
    shared.sort((a, b) => (a.key < b.key ? -1 : 1));
    const area = new Uint8Array(shared.reduce((size, entry) => size + entry.bytes.length, 0));
    let at = 0;
    for (const entry of shared) {
      area.set(entry.bytes, at);
      entry.sharedAt = at;
      at += entry.bytes.length;
    }
    return area;
  }

  #setOf(entries: PooledXattr[]): XattrSet {
    entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    if (xattrCountOf(inlineSize(entries)) > 0xffff) {
      throw new FormatError('not-encodable', 'the xattrs of one inode have more than 256 KiB');
    }
    const key = entries.map((entry) => entry.key).join('');
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    const set = { entries };
    this.#sets.set(key, set);
    return set;
  }

  #entry(bytes: Uint8Array): PooledXattr {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const entry = { bytes, key, uses: 0, sharedAt: -1 };
    this.#entries.set(key, entry);
    return entry;
  }
}

/** Length and prefix of the name, then the name, as they are stored. */
function nameOf({ key }: PooledXattr): string {
  return key.slice(0, 2) + key.slice(4, 4 + key.charCodeAt(0));
}

function inlineSize(entries: readonly PooledXattr[]): number {
  return entries.reduce((size, entry) => size + entry.bytes.length, 0);
}

/** Size of a set's area if nothing in it turns out to be shared. Bytes. */
export function largestAreaSize(set: XattrSet): number {
  return xattrAreaSize(xattrCountOf(inlineSize(set.entries)));
}

function isShared(entry: PooledXattr, index: number): boolean {
  return entry.sharedAt >= 0 && index < maxShared;
}

/** `i_xattr_icount` of an inode, once the shared area is laid out. */
export function xattrCount(set: XattrSet): number {
  let size = 0;
  for (const [index, entry] of set.entries.entries()) size += isShared(entry, index) ? 4 : entry.bytes.length;
  return xattrCountOf(roundUp(size, 4));
}

/**
 * Writes the xattr body of an inode: header, shared ids, inline entries. The name filter stays 0, "not computed".
 * @param sharedBase the shared area's distance from `xattr_blkaddr`. Bytes, a multiple of 4.
 */
export function encodeXattrBody(target: Uint8Array, set: XattrSet, sharedBase: number): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  let at = 12;
  let sharedCount = 0;
  for (const [index, entry] of set.entries.entries()) {
    if (!isShared(entry, index)) continue;
    view.setUint32(at, (sharedBase + entry.sharedAt) / 4, true);
    at += 4;
    sharedCount += 1;
  }
  target[4] = sharedCount;
  for (const [index, entry] of set.entries.entries()) {
    if (isShared(entry, index)) continue;
    target.set(entry.bytes, at);
    at += entry.bytes.length;
  }
}
