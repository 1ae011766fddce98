/**
 * Where everything of a dm-verity hash tree lies. The levels are stored top first: the one block whose digest
 * is the root hash, then level by level down to the digests of the data.
 *
 * linux/Documentation/admin-guide/device-mapper/verity.rst, "Hash Tree"; the place of the tree behind its
 * superblock is cryptsetup's (lib/verity/verity.c), as the kernel is told only a block number.
 */

import { FormatError } from '../bytes/index.ts';
import { verityDigestSize } from './algorithm.ts';

/** 1 is what everybody writes; 0 is the original of Chrome OS: salt behind the data, digests not padded. */
export type VerityHashType = 0 | 1;

/** Bytes of a superblock on disk; it is followed by padding up to the next hash block. */
export const veritySuperblockSize = 512;

/** The largest block veritysetup accepts, in bytes. The kernel wants data blocks no larger than a page. */
export const verityMaxBlockSize: number = 512 * 1024;

export interface VerityParameters {
  /** Number of data blocks the tree covers; at least 1. */
  readonly dataBlocks: number;
  /** Name as in the kernel's crypto API. */
  readonly algorithm?: string;
  readonly hashType?: VerityHashType;
  /** Bytes, a power of two from 512 to 524288. */
  readonly dataBlockSize?: number;
  /** Bytes, a power of two from 512 to 524288. */
  readonly hashBlockSize?: number;
  /** Byte offset of superblock (or, without one, tree) on the hash device: a multiple of 512. */
  readonly hashOffset?: number;
  /** Whether a superblock lies before the tree. */
  readonly superblock?: boolean;
}

export interface VerityLevel {
  /** 0 holds the digests of the data; the last level is one block. */
  readonly index: number;
  /** Hash blocks in this level. */
  readonly blocks: number;
  /** Byte offset on the hash device. */
  readonly offset: number;
  /** Bytes this level takes: a multiple of the hash block size. */
  readonly bytes: number;
  /** Digests stored in this level: data blocks, or blocks of the level below. */
  readonly digests: number;
}

export interface VerityGeometry extends Required<VerityParameters> {
  /** Bytes of the data the tree covers. */
  readonly dataBytes: number;
  /** Bytes of one digest. */
  readonly digestSize: number;
  /** Bytes from one digest to the next inside a hash block. */
  readonly digestStride: number;
  /** Digests in one hash block: a power of two. */
  readonly digestsPerBlock: number;
  /** From the data upwards. Empty when there is one data block: its digest is the root hash. */
  readonly levels: readonly VerityLevel[];
  /** Byte offset of the first (top) hash block on the hash device: a multiple of the hash block size. */
  readonly treeOffset: number;
  /** Hash blocks of all levels. */
  readonly treeBlocks: number;
  /** Bytes of all levels. */
  readonly treeBytes: number;
  /** Byte offset behind the tree: what the hash device must at least hold. */
  readonly hashEnd: number;
}

/** A power of two veritysetup takes as block size. */
export function isVerityBlockSize(size: number): boolean {
  return Number.isInteger(size) && size >= 512 && size <= verityMaxBlockSize && (size & (size - 1)) === 0;
}

/**
 * The layout of a tree; nothing is read or hashed, so any size costs the same.
 * @throws FormatError `unsupported` (algorithm), `not-encodable` (block sizes, offset, no data, above 2^53 bytes)
 */
export function verityGeometry(parameters: VerityParameters): VerityGeometry {
  const {
    dataBlocks,
    algorithm = 'sha256',
    hashType = 1,
    dataBlockSize = 4096,
    hashBlockSize = 4096,
    hashOffset = 0,
    superblock = true,
  } = parameters;
  const given = { dataBlocks, algorithm, hashType, dataBlockSize, hashBlockSize, hashOffset, superblock };
  checkParameters(given);
  const digestSize = verityDigestSize(algorithm);
  const digestsPerBlock = 2 ** Math.floor(Math.log2(hashBlockSize / digestSize));
  const treeOffset = treeStart(given);

  const counts: number[] = [];
  for (let below = dataBlocks; below > 1;) {
    below = Math.ceil(below / digestsPerBlock);
    counts.push(below);
  }
  const treeBlocks = counts.reduce((sum, count) => sum + count, 0);
  const hashEnd = treeOffset + treeBlocks * hashBlockSize;
  const dataBytes = dataBlocks * dataBlockSize;
  if (!Number.isSafeInteger(hashEnd) || !Number.isSafeInteger(dataBytes)) {
    throw new FormatError(
      'not-encodable',
      `${dataBlocks} data blocks of ${dataBlockSize} bytes are too many`,
    );
  }
  return {
    ...given,
    dataBytes,
    digestSize,
    digestStride: hashType === 1 ? 2 ** Math.ceil(Math.log2(digestSize)) : digestSize,
    digestsPerBlock,
    levels: placeLevels(counts, { dataBlocks, hashBlockSize, hashEnd }),
    treeOffset,
    treeBlocks,
    treeBytes: treeBlocks * hashBlockSize,
    hashEnd,
  };
}

interface Placement {
  readonly dataBlocks: number;
  readonly hashBlockSize: number;
  readonly hashEnd: number;
}

function placeLevels(
  counts: readonly number[],
  { dataBlocks, hashBlockSize, hashEnd }: Placement,
): VerityLevel[] {
  let end = hashEnd;
  let digests = dataBlocks;
  return counts.map((blocks, index) => {
    const bytes = blocks * hashBlockSize;
    end -= bytes;
    const level = { index, blocks, offset: end, bytes, digests };
    digests = blocks;
    return level;
  });
}

/** The tree starts at the first hash block boundary behind the superblock. */
function treeStart({ hashOffset, hashBlockSize, superblock }: Required<VerityParameters>): number {
  if (superblock) return Math.ceil((hashOffset + veritySuperblockSize) / hashBlockSize) * hashBlockSize;
  if (hashOffset % hashBlockSize !== 0) {
    // veritysetup rounds down here and writes the tree over whatever lies before the offset.
    throw new FormatError(
      'not-encodable',
      `hash offset ${hashOffset} is not a multiple of ${hashBlockSize}`,
      {
        hint: 'without a superblock the tree starts at the offset itself, on a hash block boundary',
      },
    );
  }
  return hashOffset;
}

function checkParameters(given: Required<VerityParameters>): void {
  for (const [what, size] of [
    ['data block size', given.dataBlockSize],
    ['hash block size', given.hashBlockSize],
  ] as const) {
    if (!isVerityBlockSize(size)) {
      throw new FormatError('not-encodable', `${what} ${size} is not a power of two from 512 to 524288`);
    }
  }
  if (given.hashType !== 0 && given.hashType !== 1) {
    throw new FormatError('not-encodable', `hash type ${String(given.hashType)} is neither 0 nor 1`);
  }
  if (!Number.isSafeInteger(given.dataBlocks) || given.dataBlocks < 1) {
    throw new FormatError(
      'not-encodable',
      `${given.dataBlocks} data blocks: at least one whole block is needed`,
    );
  }
  if (!Number.isSafeInteger(given.hashOffset) || given.hashOffset < 0 || given.hashOffset % 512 !== 0) {
    throw new FormatError('not-encodable', `hash offset ${given.hashOffset} is not a multiple of 512`);
  }
}
