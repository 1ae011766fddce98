/**
 * The hash tree itself, with the digest function given by the caller: this room knows where a digest goes,
 * not how it is computed. linux/Documentation/admin-guide/device-mapper/verity.rst, "Hash Tree".
 */

import { FormatError } from '../bytes/index.ts';
import type { VerityGeometry } from './geometry.ts';
import type { RootHash } from './root-hash.ts';
import { rootHashOf } from './root-hash.ts';

/**
 * Digest of one whole block (of data or of hashes) *with the salt*: before the block for hash type 1, behind
 * it for hash type 0. Returns `digestSize` bytes; the result is copied at once and may be reused.
 */
export type VerityBlockHash = (block: Uint8Array) => Uint8Array;

export interface VerityTree {
  readonly rootHash: RootHash;
  /** All levels, top first: `treeBytes` bytes that belong at `treeOffset` of the hash device. */
  readonly tree: Uint8Array;
}

/**
 * Hashes a stream of data blocks, each of exactly `dataBlockSize` bytes.
 * @throws FormatError `truncated` or `malformed` unless there are exactly `dataBlocks` whole blocks.
 */
export function formatVerityTree(
  blocks: Iterable<Uint8Array>,
  { geometry, hash }: { readonly geometry: VerityGeometry; readonly hash: VerityBlockHash },
): VerityTree {
  const tree = new Uint8Array(geometry.treeBytes);
  let count = 0;
  let last: Uint8Array | undefined;
  for (const block of blocks) {
    if (block.length !== geometry.dataBlockSize || count >= geometry.dataBlocks) {
      const expected = `${geometry.dataBlocks} blocks of ${geometry.dataBlockSize} bytes`;
      throw new FormatError(
        'malformed',
        `data block ${count} has ${block.length} bytes; expected ${expected}`,
      );
    }
    last = hash(block);
    if (geometry.levels.length > 0) tree.set(last, digestPosition(geometry, 0, count));
    count += 1;
  }
  if (last === undefined || count !== geometry.dataBlocks) {
    throw new FormatError('truncated', `${geometry.dataBlocks} data blocks were expected, ${count} came`);
  }
  return { rootHash: hashVerityLevels(tree, { geometry, hash, dataDigest: last }), tree };
}

export interface HashLevelsOptions {
  readonly geometry: VerityGeometry;
  readonly hash: VerityBlockHash;
  /** The digest of the only data block: the root hash when there are no levels. */
  readonly dataDigest: Uint8Array;
}

/** Fills the levels above level 0, which must be complete in `tree`, and gives the root hash. */
export function hashVerityLevels(tree: Uint8Array, options: HashLevelsOptions): RootHash {
  const { geometry, hash, dataDigest } = options;
  let digest = dataDigest;
  for (const { index, blocks, offset } of geometry.levels) {
    for (let block = 0; block < blocks; block += 1) {
      const start = offset - geometry.treeOffset + block * geometry.hashBlockSize;
      digest = hash(tree.subarray(start, start + geometry.hashBlockSize));
      if (index + 1 < geometry.levels.length) tree.set(digest, digestPosition(geometry, index + 1, block));
    }
  }
  return rootHashOf(digest);
}

/** Byte offset inside the tree (top block = 0) of a digest: of a data block in level 0, of a block below above. */
export function digestPosition(geometry: VerityGeometry, level: number, digest: number): number {
  const place = geometry.levels[level];
  if (place === undefined || digest < 0 || digest >= place.digests) {
    throw new FormatError('malformed', `level ${level} holds no digest ${digest}`);
  }
  const block = Math.floor(digest / geometry.digestsPerBlock);
  const inBlock = (digest % geometry.digestsPerBlock) * geometry.digestStride;
  return place.offset - geometry.treeOffset + block * geometry.hashBlockSize + inBlock;
}
