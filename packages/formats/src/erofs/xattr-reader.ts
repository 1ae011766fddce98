/** Reads the xattrs of inodes; shared entries are read once, whoever refers to them. */

import { ByteReader, FormatError } from '../bytes/index.ts';
import type { ErofsInode } from './inode.ts';
import { inodeSize } from './inode.ts';
import { xattrEntrySize } from './layout.ts';
import type { MetadataWindow } from './window.ts';
import type { LongPrefix, Xattr } from './xattr.ts';
import { parseXattr, parseXattrBody, xattrAreaSize, xattrSize } from './xattr.ts';

export interface XattrReaderOptions {
  readonly window: MetadataWindow;
  /** Where shared ids count from. Bytes. */
  readonly sharedStart: number;
  readonly longPrefixes: readonly LongPrefix[];
}

export class XattrReader {
  readonly #options: XattrReaderOptions;
  readonly #shared = new Map<number, Xattr>();
  /** What distinct shared entries may still take: they cannot have more bytes than the file system. */
  #budget: number;

  constructor(options: XattrReaderOptions) {
    this.#options = options;
    this.#budget = options.window.size;
  }

  /** @param offset of the inode in the image */
  read(inode: ErofsInode, offset: number): ReadonlyMap<string, Uint8Array> {
    const result = new Map<string, Uint8Array>();
    if (inode.xattrCount === 0) return result;
    const { window, longPrefixes } = this.#options;
    const start = offset + inodeSize(inode.extended);
    const body = parseXattrBody(window.read(start, xattrAreaSize(inode.xattrCount)), start, longPrefixes);
    for (const { name, value } of [...body.inline, ...body.sharedIds.map((id) => this.#sharedEntry(id))]) {
      if (result.has(name)) throw new FormatError('malformed', `xattr ${name} twice`, { offset: start });
      result.set(name, value);
    }
    return result;
  }

  #sharedEntry(id: number): Xattr {
    const known = this.#shared.get(id);
    if (known !== undefined) return known;
    const { window, sharedStart, longPrefixes } = this.#options;
    const at = sharedStart + id * 4;
    const size = xattrSize(window.read(at, xattrEntrySize));
    this.#budget -= size;
    if (this.#budget < 0) throw new FormatError('malformed', 'shared xattrs overlap', { offset: at });
    const entry = parseXattr(new ByteReader(window.read(at, size), { base: at }), longPrefixes);
    this.#shared.set(id, entry);
    return entry;
  }
}
