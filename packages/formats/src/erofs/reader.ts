/**
 * Reads uncompressed EROFS images made by anybody, lazily and without trust: what is not as the kernel would want
 * it, or leads in circles, is a FormatError with its offset.
 */

import type { ByteSource } from '../bytes/index.ts';
import { ByteReader, decodeText, FormatError } from '../bytes/index.ts';
import type { ContentMap } from './content.ts';
import { mapContent } from './content.ts';
import type { ParsedEntry } from './directory.ts';
import { DirectoryParser } from './directory.ts';
import type { DeviceNumber, ErofsInode } from './inode.ts';
import { decodeDevice, inodeSize, isExtended, parseInode } from './inode.ts';
import type { ErofsType } from './layout.ts';
import {
  compatFeature,
  dataLayout,
  incompatFeature,
  maxSymlinkLength,
  roundUp,
  slotSize,
  typeCodes,
} from './layout.ts';
import { splitPath } from './names.ts';
import type { ErofsSuperblock } from './superblock.ts';
import { parseSuperblock } from './superblock.ts';
import { MetadataWindow } from './window.ts';
import type { LongPrefix } from './xattr.ts';
import { XattrReader } from './xattr-reader.ts';

export interface ErofsNode extends ErofsInode {
  readonly nid: number;
  /** Of the inode in the image. Bytes. */
  readonly offset: number;
}

export interface ErofsWalkEntry {
  /** `/` for the root, else absolute. */
  readonly path: string;
  readonly node: ErofsNode;
}

/** Bytes of a file that follow each other in the source. */
export interface ErofsExtent {
  readonly offset: number;
  readonly size: number;
}

export interface ErofsLimits {
  /** Directories inside directories. */
  readonly depth: number;
  /** Bytes that {@link ErofsImage.read} gives at once. */
  readonly readSize: number;
  /** Bytes of a file that {@link ErofsImage.chunks} goes through; holes make sizes cheap to claim. */
  readonly fileSize: number;
}

const defaultLimits: ErofsLimits = { depth: 512, readSize: 256 * 2 ** 20, fileSize: 16 * 2 ** 30 };

/** @throws FormatError when the superblock is not that of an image this reader can read to the end */
export function readErofs(source: ByteSource, limits: Partial<ErofsLimits> = {}): ErofsImage {
  return new ErofsImage(source, { ...defaultLimits, ...limits });
}

export class ErofsImage {
  readonly superblock: ErofsSuperblock;
  readonly root: ErofsNode;
  /** Bytes of the file system; the source may go on, with a hash tree for example. */
  readonly size: number;
  readonly #source: ByteSource;
  readonly #limits: ErofsLimits;
  readonly #window: MetadataWindow;
  readonly #xattrs: XattrReader;

  constructor(source: ByteSource, limits: ErofsLimits) {
    this.superblock = parseSuperblock(source);
    this.size = this.superblock.blocks * this.superblock.blockSize;
    this.#source = source;
    this.#limits = limits;
    this.#window = new MetadataWindow(source, this.size);
    this.#xattrs = new XattrReader({
      window: this.#window,
      sharedStart: this.superblock.xattrBlock * this.superblock.blockSize,
      longPrefixes: this.#longPrefixes(),
    });
    this.root = this.node(this.superblock.rootNid);
    if (this.root.type !== 'directory') {
      throw new FormatError('malformed', `the root is a ${this.root.type}`, { offset: this.root.offset });
    }
  }

  node(nid: number): ErofsNode {
    const { metaBlock, blockSize } = this.superblock;
    const offset = metaBlock * blockSize + nid * slotSize;
    const [format = 0] = this.#window.read(offset, 2);
    const bytes = this.#window.read(offset, inodeSize(isExtended(format)));
    return { ...parseInode(bytes, offset, this.superblock), nid, offset };
  }

  /** Device number of a character or block device. */
  device(node: ErofsNode): DeviceNumber {
    return decodeDevice(node.union);
  }

  xattrs(node: ErofsNode): ReadonlyMap<string, Uint8Array> {
    return this.#xattrs.read(node, node.offset);
  }

  /** What a directory holds, sorted by the bytes of the names, without `.` and `..`. */
  directory(node: ErofsNode): readonly ParsedEntry[] {
    return this.#entries(node).filter(({ name }) => name !== '.' && name !== '..');
  }

  /** The node at a path, symlinks not followed; undefined when there is none. */
  lookup(path: string): ErofsNode | undefined {
    let node = this.root;
    for (const name of splitPath(path)) {
      if (node.type !== 'directory') return undefined;
      const entry = this.directory(node).find((candidate) => candidate.name === name);
      if (entry === undefined) return undefined;
      node = this.#child(entry);
    }
    return node;
  }

  /** Everything below and including the root; directories before what they hold, in byte order of the names. */
  *walk(): Generator<ErofsWalkEntry> {
    const seen = new Set<number>();
    let directoryBytes = 0;
    const stack = [{ path: '', node: this.root, parent: this.root, depth: 0 }];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const { path, node, parent, depth } = top;
      yield { path: path || '/', node };
      if (node.type !== 'directory') continue;
      if (seen.has(node.nid)) {
        throw new FormatError('malformed', `directory ${path} is reached twice`, { offset: node.offset });
      }
      seen.add(node.nid);
      if (depth > this.#limits.depth) {
        throw new FormatError('too-large', `directories ${depth} deep`, { offset: node.offset });
      }
      directoryBytes += node.size;
      if (directoryBytes > this.size) {
        throw new FormatError('malformed', 'directories overlap', { offset: node.offset });
      }
      const entries = this.#entries(node);
      for (let index = entries.length - 1; index >= 0; index -= 1) {
        const entry = entries[index];
        if (entry === undefined || entry.name === '.') continue;
        if (entry.name !== '..') {
          stack.push({
            path: `${path}/${entry.name}`,
            node: this.#child(entry),
            parent: node,
            depth: depth + 1,
          });
        } else if (entry.nid !== parent.nid) {
          throw new FormatError('malformed', `.. of ${path || '/'} is not its parent`, {
            offset: entry.offset,
          });
        }
      }
    }
  }

  /**
   * Bytes of a file's (or any inode's) content, exactly as many as asked for. The result may be a view that the
   * next read of the source overwrites.
   */
  read(node: ErofsNode, position: number = 0, wanted?: number): Uint8Array {
    const length = wanted ?? node.size - position;
    if (position < 0 || length < 0 || position + length > node.size) {
      throw new FormatError('truncated', `${length} bytes at ${position} of a file of ${node.size}`, {
        offset: node.offset,
      });
    }
    if (length > this.#limits.readSize) {
      throw new FormatError('too-large', `${length} bytes at once`, { offset: node.offset });
    }
    if (length === 0) return new Uint8Array(0);
    const map = this.#content(node);
    const first = map(position);
    if (first.length >= length && first.at !== undefined) return this.#source.read(first.at, length);
    const result = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const extent = map(position + done);
      const piece = Math.min(extent.length, length - done);
      if (extent.at !== undefined) result.set(this.#source.read(extent.at, piece), done);
      done += piece;
    }
    return result;
  }

  /** A file from start to end in pieces of at most `pieceSize` bytes, each valid until the next. */
  *chunks(node: ErofsNode, pieceSize: number = 1 << 20): Generator<Uint8Array> {
    if (node.size > this.#limits.fileSize) {
      throw new FormatError('too-large', `a file of ${node.size} bytes`, { offset: node.offset });
    }
    for (let at = 0; at < node.size; at += pieceSize) {
      yield this.read(node, at, Math.min(pieceSize, node.size - at));
    }
  }

  /**
   * Where the bytes of a file lie in the source, in order; undefined when it has holes or is in more than `most` pieces.
   */
  extents(node: ErofsNode, most: number = 64): readonly ErofsExtent[] | undefined {
    const map = this.#content(node);
    const extents: { offset: number; size: number }[] = [];
    for (let position = 0; position < node.size;) {
      const { at, length } = map(position);
      if (at === undefined) return undefined;
      const last = extents.at(-1);
      if (last !== undefined && last.offset + last.size === at) last.size += length;
      else extents.push({ offset: at, size: length });
      if (extents.length > most) return undefined;
      position += length;
    }
    return extents;
  }

  symlinkTarget(node: ErofsNode): string {
    if (node.type !== 'symlink' || node.size === 0 || node.size > maxSymlinkLength) {
      throw new FormatError('malformed', `a ${node.type} of ${node.size} bytes is no symlink`, {
        offset: node.offset,
      });
    }
    const target = this.read(node);
    if (target.includes(0)) throw new FormatError('malformed', 'NUL in a symlink', { offset: node.offset });
    return decodeText(target);
  }

  #child(entry: ParsedEntry): ErofsNode {
    const node = this.node(entry.nid);
    if (typeCodes[node.type].dirent !== entry.fileType) {
      throw new FormatError(
        'malformed',
        `${entry.name} is a ${node.type}, its entry says type ${entry.fileType}`,
        {
          offset: entry.offset,
        },
      );
    }
    return node;
  }

  #content(node: ErofsNode): ContentMap {
    if (!hasContent(node.type)) {
      throw new FormatError('unsupported', `a ${node.type} has no content`, { offset: node.offset });
    }
    const { blockSize } = this.superblock;
    return mapContent({ inode: node, offset: node.offset, blockSize, window: this.#window });
  }

  #entries(node: ErofsNode): readonly ParsedEntry[] {
    if (node.type !== 'directory' || node.layout === dataLayout.chunkBased) {
      throw new FormatError('malformed', `a ${node.type} of layout ${node.layout} as directory`, {
        offset: node.offset,
      });
    }
    const parser = new DirectoryParser();
    const map = this.#content(node);
    for (let at = 0; at < node.size;) {
      const extent = map(at);
      if (extent.at === undefined)
        throw new FormatError('malformed', 'hole in a directory', { offset: node.offset });
      const length = Math.min(this.superblock.blockSize, node.size - at);
      parser.block(this.#window.read(extent.at, length), extent.at);
      at += length;
    }
    const self = parser.entries.find(({ name }) => name === '.');
    if (self?.nid !== node.nid || !parser.entries.some(({ name }) => name === '..')) {
      throw new FormatError('malformed', 'a directory without . or .. of its own', { offset: node.offset });
    }
    return parser.entries;
  }

  #longPrefixes(): readonly LongPrefix[] {
    const { compatFeatures, incompatFeatures, xattrPrefixCount, xattrPrefixStart, packedNid } =
      this.superblock;
    if ((incompatFeatures & incompatFeature.xattrPrefixes) === 0) return [];
    const packed = (incompatFeatures & incompatFeature.fragments) !== 0 && packedNid !== 0;
    const inPacked = packed && (compatFeatures & compatFeature.plainXattrPrefixes) === 0;
    const holder = inPacked ? this.node(packedNid) : undefined;
    const read = (at: number, length: number): Uint8Array =>
      holder === undefined ? this.#window.read(at, length) : Uint8Array.from(this.read(holder, at, length));
    const result: LongPrefix[] = [];
    let at = xattrPrefixStart * 4;
    for (let index = 0; index < xattrPrefixCount; index += 1) {
      const length = new ByteReader(read(at, 2)).u16('prefix length');
      if (length < 1 || length > 256) {
        throw new FormatError('malformed', `xattr name prefix of ${length} bytes`, { offset: at });
      }
      const [baseIndex = 0, ...infix] = read(at + 2, length);
      result.push({ baseIndex, infix: Uint8Array.from(infix) });
      at = roundUp(at + 2 + length, 4);
    }
    return result;
  }
}

function hasContent(type: ErofsType): boolean {
  return type === 'file' || type === 'directory' || type === 'symlink';
}
