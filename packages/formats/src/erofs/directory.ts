/**
 * Directory blocks: 12-byte `struct erofs_dirent`s, then the names they point at, in each block by itself. Entries,
 * `.` and `..` among them, are sorted by the bytes of their names: the kernel searches them by bisection.
 */

import { ByteReader, decodeText, encodeText, FormatError } from '../bytes/index.ts';
import type { ErofsType } from './layout.ts';
import { direntSize, maxNameLength, slotSize, typeCodes } from './layout.ts';

const textEncoder = new TextEncoder();

export interface DirectoryEntry {
  readonly name: string;
  readonly node: {
    /** Of the inode in the inode area. Bytes. */
    readonly offset: number;
    readonly type: ErofsType;
  };
}

export interface DirectoryPlan {
  /** Index of the first entry of each block, then the number of entries. */
  readonly starts: readonly number[];
  /** Bytes used in the last block. */
  readonly lastSize: number;
}

/** Fills blocks greedily; `lengths` are those of the sorted names. */
export function planDirectory(lengths: readonly number[], blockSize: number): DirectoryPlan {
  const starts = [0];
  let used = 0;
  for (const [index, length] of lengths.entries()) {
    const needed = direntSize + length;
    if (used + needed > blockSize) {
      starts.push(index);
      used = 0;
    }
    used += needed;
  }
  starts.push(lengths.length);
  return { starts, lastSize: used };
}

/** Writes entries `first` to `end` (exclusive) of one block into `target`, whose bytes are zero. */
export function encodeDirectoryBlock(target: Uint8Array, entries: readonly DirectoryEntry[]): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  let nameOffset = entries.length * direntSize;
  for (const [index, { name, node }] of entries.entries()) {
    const at = index * direntSize;
    const nid = node.offset / slotSize;
    view.setUint32(at, nid % 2 ** 32, true);
    view.setUint32(at + 4, Math.floor(nid / 2 ** 32), true);
    view.setUint16(at + 8, nameOffset, true);
    view.setUint8(at + 10, typeCodes[node.type].dirent);
    nameOffset += writeName(target, name, nameOffset);
  }
}

/** Without an object for each of thousands of names. */
function writeName(target: Uint8Array, name: string, at: number): number {
  if (name.isWellFormed()) return textEncoder.encodeInto(name, target.subarray(at)).written;
  const bytes = encodeText(name);
  target.set(bytes, at);
  return bytes.length;
}

export interface ParsedEntry {
  readonly name: string;
  readonly nid: number;
  readonly fileType: number;
  /** Of the dirent in the image. */
  readonly offset: number;
}

/**
 * Parses the blocks of one directory in order and refuses names that are illegal or out of order, for a kernel
 * would find some of its files and not others.
 */
export class DirectoryParser {
  readonly entries: ParsedEntry[] = [];
  #previous: Uint8Array | undefined;

  /** @param bytes one block, or what is used of the last one */
  block(bytes: Uint8Array, offset: number): void {
    const reader = new ByteReader(bytes, { base: offset });
    reader.seek(8, 'first dirent');
    const namesStart = reader.u16('nameoff');
    if (namesStart < direntSize || namesStart % direntSize !== 0 || namesStart >= bytes.length) {
      throw new FormatError('malformed', `first name of a directory block at ${namesStart}`, {
        offset: offset + 8,
      });
    }
    const count = namesStart / direntSize;
    let nameOffset = namesStart;
    for (let index = 0; index < count; index += 1) {
      const at = index * direntSize;
      reader.seek(at, 'dirent');
      const nid = reader.size64('nid');
      reader.skip(2, 'nameoff');
      const fileType = reader.u8('file_type');
      let end = bytes.length;
      if (index + 1 < count) {
        reader.seek(at + direntSize + 8, 'dirent');
        end = reader.u16('nameoff');
      }
      if (end <= nameOffset || end > bytes.length) {
        throw new FormatError('malformed', `name from ${nameOffset} to ${end}`, { offset: offset + at + 8 });
      }
      let name = bytes.subarray(nameOffset, end);
      if (index + 1 === count) {
        // Only the last name of a block may be ended by a NUL: padding follows it.
        const nul = name.indexOf(0);
        if (nul >= 0) name = name.subarray(0, nul);
      }
      this.#append({ name, nid, fileType, offset: offset + at });
      nameOffset = end;
    }
  }

  #append(entry: { name: Uint8Array; nid: number; fileType: number; offset: number }): void {
    const { name, nid, fileType, offset } = entry;
    if (name.length === 0 || name.length > maxNameLength || name.includes(0) || name.includes(0x2f)) {
      throw new FormatError('malformed', `a name of ${name.length} bytes or with NUL or slash`, { offset });
    }
    if (this.#previous !== undefined && Buffer.compare(this.#previous, name) >= 0) {
      throw new FormatError('malformed', 'directory entries out of order', { offset });
    }
    this.#previous = Uint8Array.from(name);
    this.entries.push({ name: decodeText(name), nid, fileType, offset });
  }
}
