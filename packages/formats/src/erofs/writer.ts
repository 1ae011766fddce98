/**
 * Writes uncompressed EROFS images in one pass: head, file blocks as they arrive, directory blocks, inodes. Bodies
 * never wait in memory; only what does not fill a block (the inline tail) is kept until the inodes are written.
 * Every byte is a function of the options and of the entries in their order.
 */

import { decodeText, encodeText, FormatError } from '../bytes/index.ts';
import type { DeviceNumber } from './inode.ts';
import { encodeDevice } from './inode.ts';
import { finishImage } from './finish.ts';
import { compatFeature, extendedInodeSize, maxSymlinkLength, nullBlock } from './layout.ts';
import type { ErofsType } from './layout.ts';
import type { ErofsDirectSink, ErofsSink } from './output.ts';
import { SequentialOutput } from './output.ts';
import { encodeSuperblock, headSize, largestBlock, smallestBlock } from './superblock.ts';
import { memoryTailStore } from './tails.ts';
import type { TailStore } from './tails.ts';
import { newNode, Tree } from './tree.ts';
import type { TreeNode } from './tree.ts';
import { largestAreaSize, XattrPool } from './xattr-pool.ts';

export interface ErofsMetadata {
  /** Permission, setuid, setgid and sticky bits: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970; negative before. */
  readonly mtime: number;
  readonly mtimeNsec?: number;
  /** Full names (`security.selinux`); values as getxattr gives them. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

export interface ErofsFileEntry extends ErofsMetadata {
  readonly type: 'file';
  /** Bytes of the body. */
  readonly size: number;
}

export type ErofsOtherEntry =
  | (ErofsMetadata & { readonly type: 'directory' | 'fifo' | 'socket' })
  | (ErofsMetadata & { readonly type: 'symlink'; readonly target: string })
  | (ErofsMetadata & DeviceNumber & { readonly type: 'char' | 'block' });

/** What a path leads to, as far as it goes. */
export interface ErofsProbe {
  /** How many of the components there are; fewer than were asked for when one is missing or is no directory. */
  readonly depth: number;
  /** Of the last component that is there. */
  readonly type: ErofsType;
  /** Of a symlink. */
  readonly target?: string;
}

/** Fills `target` from its start and returns how many bytes it gave; 0 says there are none left. */
export type ErofsFill = (target: Uint8Array) => number;

export interface ErofsWriterOptions {
  /** 16 bytes, which are read when the image is finished: they may depend on what went into it. */
  readonly uuid: Uint8Array;
  /** Whole seconds since 1970. Inodes with this very mtime (and small ids) take half the space. */
  readonly buildTime: number;
  readonly buildTimeNsec?: number;
  /** At most 16 bytes. */
  readonly volumeName?: string;
  /** 512 to 65536; 4096 unless told otherwise, which every kernel mounts. */
  readonly blockSize?: number;
  readonly tails?: TailStore;
  /** What bodies are gathered in before they reach a sink without memory of its own; 4 MiB unless given. */
  readonly buffer?: Uint8Array;
}

export interface ErofsSummary {
  /** Of the image: a multiple of the block size. Bytes. */
  readonly size: number;
  readonly blockSize: number;
  readonly inodes: number;
}

/** One body being pushed. All of its bytes must arrive before anything else is added. */
export interface ErofsFileWriter {
  /** Bytes still to come. */
  readonly remaining: number;
  push(bytes: Uint8Array): void;
  /** Where the next bytes may be written directly, to be followed by {@link commit}; not empty while any remain. */
  space(): Uint8Array;
  commit(length: number): void;
}

const defaultBuffer = 4 << 20;

export class ErofsWriter {
  readonly #sink: ErofsSink;
  readonly #output: SequentialOutput;
  readonly #tails: TailStore;
  readonly #pool = new XattrPool();
  readonly #tree: Tree;
  readonly #blockSize: number;
  readonly #options: ErofsWriterOptions;
  readonly #bodies: BodyOptions;
  #open: FileBody | undefined;
  #finished = false;

  constructor(sink: ErofsSink | ErofsDirectSink, options: ErofsWriterOptions) {
    const {
      blockSize = 4096,
      buildTime,
      buildTimeNsec = 0,
      buffer = new Uint8Array('space' in sink ? 0 : defaultBuffer),
    } = options;
    const legal =
      Number.isInteger(Math.log2(blockSize)) && blockSize >= smallestBlock && blockSize <= largestBlock;
    if (!legal) throw new FormatError('not-encodable', `a block size of ${blockSize}`);
    checkTime(buildTime, buildTimeNsec);
    this.#sink = sink;
    this.#options = options;
    this.#blockSize = blockSize;
    this.#tails = options.tails ?? memoryTailStore();
    this.#tree = new Tree({ mtime: buildTime, mtimeNsec: buildTimeNsec });
    this.#output = new SequentialOutput(sink, buffer);
    const scratch = new Uint8Array(blockSize);
    this.#bodies = { output: this.#output, tails: this.#tails, blockSize, scratch };
    this.#output.zeros(headSize(blockSize));
  }

  /**
   * Adds anything but a regular file. Directories on the way are made (0755, root, build time) and may be described
   * later; describing a directory again replaces its metadata. The root is `/`.
   * @throws FormatError `not-encodable` for names, numbers or types EROFS cannot hold, and for a name taken
   */
  add(path: string, entry: ErofsOtherEntry): void {
    const node = this.#newNode(entry.type, entry);
    if (entry.type === 'char' || entry.type === 'block') node.rdev = encodeDevice(entry);
    if (entry.type === 'symlink') node.tail = symlinkTarget(path, entry.target);
    this.#tree.insert(path, node);
    if (node.tail instanceof Uint8Array) this.#placeSymlink(node, node.tail);
  }

  /** Adds a regular file whose body `fill` gives; an empty file needs none. */
  addFile(path: string, entry: ErofsFileEntry, fill: ErofsFill = () => 0): void {
    const body = this.openFile(path, entry);
    while (body.remaining > 0) {
      const length = fill(body.space());
      if (length === 0) throw new FormatError('truncated', `${path} ends ${body.remaining} bytes early`);
      body.commit(length);
    }
  }

  /** Adds a regular file whose body is pushed as it arrives. */
  openFile(path: string, entry: ErofsFileEntry): ErofsFileWriter {
    const { size } = entry;
    if (!Number.isSafeInteger(size) || size < 0)
      throw new FormatError('not-encodable', `${path} of ${size} bytes`);
    const node = this.#newNode('file', entry);
    this.#tree.insert(path, node);
    node.size = size;
    node.tailSize = this.#inlineTail(node);
    if (size > node.tailSize) node.firstBlock = this.#nextBlock();
    const body = new FileBody(node, this.#bodies);
    this.#open = body;
    return body;
  }

  /** Gives the inode at `target` one more name. */
  addLink(path: string, target: string): void {
    this.#assertIdle();
    const node = this.#tree.find(target);
    if (node === undefined || node.type === 'directory') {
      throw new FormatError(
        'not-encodable',
        `${path} cannot be a hard link to ${node?.type ?? 'missing'} ${target}`,
      );
    }
    this.#tree.insert(path, node);
  }

  /** Gives a directory that is there one more attribute, or another value of one it has. */
  setDirectoryXattr(path: string, name: string, value: Uint8Array): void {
    this.#assertIdle();
    const node = this.#tree.find(path);
    if (node?.type !== 'directory') {
      throw new FormatError('not-encodable', `${path} is ${node?.type ?? 'nothing'}, not a directory`);
    }
    node.xattrs = this.#pool.extend(node.xattrs, name, value);
  }

  /** Goes down a path, component by component, while there are directories. No components: the root. */
  probe(names: readonly string[]): ErofsProbe {
    const { depth, node } = this.#tree.probe(names);
    return {
      depth,
      type: node.type,
      ...(node.tail instanceof Uint8Array && { target: decodeText(node.tail) }),
    };
  }

  /** Takes a name out again, with everything below it; its blocks stay unused. Says whether it was there. */
  remove(path: string): boolean {
    this.#assertIdle();
    return this.#tree.remove(path);
  }

  /** Writes directories, inodes and, at last, the head. Nothing can be added afterwards. */
  finish(): ErofsSummary {
    this.#assertIdle();
    this.#finished = true;
    const { buildTime, buildTimeNsec = 0, uuid, volumeName = '' } = this.#options;
    const blockSize = this.#blockSize;
    const finished = finishImage({
      tree: this.#tree,
      pool: this.#pool,
      output: this.#output,
      tails: this.#tails,
      blockSize,
      times: { buildTime, buildTimeNsec },
    });
    const head = encodeSuperblock({
      ...finished,
      blockSize,
      xattrBlock: finished.metaBlock,
      buildTime,
      buildTimeNsec,
      uuid,
      volumeName,
      compatFeatures: compatFeature.superblockChecksum | compatFeature.mtime,
      incompatFeatures: 0,
      xattrPrefixCount: 0,
      xattrPrefixStart: 0,
      packedNid: 0,
      checksummed: true,
    });
    this.#output.flush();
    this.#sink.write(0, head);
    return { size: finished.blocks * blockSize, blockSize, inodes: finished.inodes };
  }

  #newNode(type: ErofsType, entry: ErofsMetadata): TreeNode {
    this.#assertIdle();
    const { mode, uid, gid, mtime, mtimeNsec = 0 } = entry;
    checkTime(mtime, mtimeNsec);
    const legal = isUnsigned(mode, 0o7777) && isUnsigned(uid, 0xffff_ffff) && isUnsigned(gid, 0xffff_ffff);
    if (!legal) throw new FormatError('not-encodable', `mode ${mode}, uid ${uid} or gid ${gid} out of range`);
    return newNode(type, { mode, uid, gid, mtime, mtimeNsec, xattrs: this.#pool.intern(entry.xattrs) });
  }

  /** Bytes of the content's end that go behind the inode: they must fit one block with it, whatever is shared. */
  #inlineTail(node: TreeNode): number {
    const tail = node.size % this.#blockSize;
    return extendedInodeSize + largestAreaSize(node.xattrs) + tail <= this.#blockSize ? tail : 0;
  }

  #placeSymlink(node: TreeNode, target: Uint8Array): void {
    node.size = target.length;
    const fits = extendedInodeSize + largestAreaSize(node.xattrs) + target.length <= this.#blockSize;
    if (fits) {
      node.tailSize = target.length;
      return;
    }
    node.firstBlock = this.#nextBlock();
    this.#output.write(target);
    this.#output.align(this.#blockSize);
  }

  #nextBlock(): number {
    const block = this.#output.position / this.#blockSize;
    if (block >= nullBlock) throw new FormatError('not-encodable', 'more than 2^32 blocks of data');
    return block;
  }

  #assertIdle(): void {
    if (this.#finished) throw new FormatError('not-encodable', 'the image is finished');
    if (this.#open !== undefined && this.#open.remaining > 0) {
      throw new FormatError('not-encodable', `a file is ${this.#open.remaining} bytes short`);
    }
  }
}

function isUnsigned(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

function checkTime(seconds: number, nanoseconds: number): void {
  if (!Number.isSafeInteger(seconds) || !isUnsigned(nanoseconds, 999_999_999)) {
    throw new FormatError('not-encodable', `time ${seconds}.${nanoseconds}`);
  }
}

function symlinkTarget(path: string, target: string): Uint8Array {
  const bytes = encodeText(target);
  if (bytes.length === 0 || bytes.length > maxSymlinkLength || bytes.includes(0)) {
    throw new FormatError('not-encodable', `${path}: a symlink to ${bytes.length} bytes`);
  }
  return bytes;
}

interface BodyOptions {
  readonly output: SequentialOutput;
  readonly tails: TailStore;
  readonly blockSize: number;
  /** One block to gather a tail in; only one body is open at a time. */
  readonly scratch: Uint8Array;
}

class FileBody implements ErofsFileWriter {
  readonly #node: TreeNode;
  readonly #options: BodyOptions;
  /** Bytes still to go to blocks. */
  #blocksLeft: number;
  #tailLeft: number;

  constructor(node: TreeNode, options: BodyOptions) {
    this.#node = node;
    this.#options = options;
    this.#tailLeft = node.tailSize;
    this.#blocksLeft = node.size - node.tailSize;
  }

  get remaining(): number {
    return this.#blocksLeft + this.#tailLeft;
  }

  /** Space for blocks goes on into space for the tail where the buffer allows, so that one read can fill both. */
  space(): Uint8Array {
    const { output, scratch } = this.#options;
    if (this.#blocksLeft > 0) return output.space(this.remaining);
    const { tailSize } = this.#node;
    return scratch.subarray(tailSize - this.#tailLeft, tailSize);
  }

  commit(length: number): void {
    const { output, blockSize } = this.#options;
    if (length > this.remaining) throw new FormatError('not-encodable', 'a body longer than its size');
    if (this.#blocksLeft === 0) {
      this.#tailLeft -= length;
      if (this.#tailLeft === 0 && length > 0)
        this.#keepTail(this.#options.scratch.subarray(0, this.#node.tailSize));
      return;
    }
    const inBlocks = Math.min(length, this.#blocksLeft);
    output.commit(inBlocks);
    this.#blocksLeft -= inBlocks;
    if (this.#blocksLeft > 0) return;
    if (length > inBlocks) this.#takeTail(output.space(length - inBlocks));
    output.align(blockSize);
  }

  push(bytes: Uint8Array): void {
    if (bytes.length > this.remaining) throw new FormatError('not-encodable', 'a body longer than its size');
    for (let at = 0; at < bytes.length;) {
      const target = this.space();
      const piece = bytes.subarray(at, at + target.length);
      target.set(piece);
      this.commit(piece.length);
      at += piece.length;
    }
  }

  /** The start of the tail, or all of it, that was written behind the blocks. */
  #takeTail(bytes: Uint8Array): void {
    this.#tailLeft -= bytes.length;
    if (this.#tailLeft === 0) this.#keepTail(bytes);
    else this.#options.scratch.set(bytes);
  }

  #keepTail(bytes: Uint8Array): void {
    this.#node.tail = this.#options.tails.append(bytes);
  }
}
