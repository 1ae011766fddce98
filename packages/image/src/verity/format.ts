/** Computes the hash tree of a file or partition and writes it, as `veritysetup format` does. */

import { FormatError } from '@osguard/formats/bytes';
import type { RootHash, VerityGeometry, VerityParameters, VeritySuperblock } from '@osguard/formats/verity';
import {
  checkVeritySalt,
  encodeVeritySuperblock,
  rootHashOf,
  verityGeometry,
  veritySuperblockSize,
} from '@osguard/formats/verity';
import type { OpenArea, VerityArea } from './area.ts';
import { openArea } from './area.ts';
import { blockHashing, digestLayout, opensslName } from './hash-window.ts';
import { digestOfBlock } from './level-job.ts';
import type { VerityWorkOptions } from './run-level.ts';
import { runLevel, runOptions } from './run-level.ts';
import type { TreeOutput } from './tree-output.ts';
import { openTreeOutput } from './tree-output.ts';

export interface FormatVerityOptions extends VerityWorkOptions, Omit<VerityParameters, 'dataBlocks'> {
  /** What to protect: a whole number of data blocks. */
  readonly data: VerityArea;
  /**
   * Where the tree goes. Without offset and size, a path that does not exist yet, or a file that is not the data
   * and is all tree (no hash offset), becomes a new file that appears whole or not at all. Anything else is
   * written in place.
   */
  readonly tree: VerityArea;
  /** 0 to 256 bytes. Never chosen here: the same salt and UUID give the same bytes. */
  readonly salt: Uint8Array;
  /** UUID in the superblock; needed unless `superblock` is false. */
  readonly uuid?: string;
}

export interface FormattedVerity {
  readonly rootHash: RootHash;
  readonly geometry: VerityGeometry;
}

/**
 * Memory does not depend on the size of the data.
 * @throws FormatError when sizes, offsets or the algorithm are not possible, before anything is written;
 *   AbortError when the signal came; system errors pass through.
 */
export async function formatVerity(options: FormatVerityOptions): Promise<FormattedVerity> {
  const { salt, uuid, superblock = true, tree: treeArea } = options;
  using data = openArea(options.data, 'r');
  // Once with any size, so that impossible parameters are refused before sizes are divided by them.
  const { dataBlockSize } = verityGeometry({ ...options, dataBlocks: 1 });
  const geometry = verityGeometry({ ...options, dataBlocks: wholeBlocks(data, dataBlockSize) });
  checkVeritySalt(salt);
  opensslName(geometry.algorithm);
  if (treeArea.size !== undefined && geometry.hashEnd > treeArea.size) {
    const needed = `the hash tree needs ${geometry.hashEnd} bytes`;
    throw new FormatError('not-encodable', `${treeArea.path}: ${needed}, there is room for ${treeArea.size}`);
  }
  const header = superblock ? encodeVeritySuperblock(superblockOf(geometry, salt, uuid)) : undefined;
  using output = openTreeOutput(treeArea, data, geometry);
  const rootHash = await writeTree({ data, output, geometry, options });
  // Last of all: as long as a crash can leave a torn tree, there is no superblock before it.
  if (header !== undefined) {
    const gap = geometry.treeOffset - geometry.hashOffset - veritySuperblockSize;
    output.write(Buffer.concat([header, new Uint8Array(gap)]), geometry.hashOffset);
  }
  output.commit();
  return { rootHash, geometry };
}

function superblockOf(
  geometry: VerityGeometry,
  salt: Uint8Array,
  uuid: string | undefined,
): VeritySuperblock {
  if (uuid === undefined) {
    throw new FormatError('not-encodable', 'a superblock needs a UUID', {
      hint: 'give one, or superblock: false',
    });
  }
  return { ...geometry, salt, uuid };
}

function wholeBlocks(data: OpenArea, blockSize: number): number {
  const { path, size, present } = data;
  if (size === undefined) {
    throw new FormatError('not-encodable', `${path}: the size of a device has to be given`);
  }
  if (present !== undefined && present < size) {
    throw new FormatError('truncated', `${path}: expected ${size} bytes of data, found ${present}`);
  }
  if (size === 0) throw new FormatError('not-encodable', `${path}: there is no data to protect`);
  if (size % blockSize !== 0) {
    // veritysetup leaves the rest unprotected without a word.
    throw new FormatError(
      'not-encodable',
      `${path}: ${size} bytes are not a whole number of blocks of ${blockSize}`,
      {
        hint: 'pad the data to whole blocks, or say with size how much of it to protect',
      },
    );
  }
  return size / blockSize;
}

interface TreeWork {
  readonly data: OpenArea;
  readonly output: TreeOutput;
  readonly geometry: VerityGeometry;
  readonly options: FormatVerityOptions;
}

async function writeTree({ data, output, geometry, options }: TreeWork): Promise<RootHash> {
  const hashing = blockHashing(geometry, options.salt);
  const layout = digestLayout(geometry);
  let source = {
    fd: data.fd,
    offset: data.offset,
    blockSize: geometry.dataBlockSize,
    blocks: geometry.dataBlocks,
  };
  for (const level of geometry.levels) {
    const target = { fd: output.fd, offset: output.offset + level.offset };
    await runLevel(
      { mode: 'format', hashing, layout, source, target, maxFindings: 0 },
      runOptions(options, level.index === 0 ? geometry : undefined),
    );
    source = { ...target, blockSize: geometry.hashBlockSize, blocks: level.blocks };
  }
  return rootHashOf(digestOfBlock(hashing, source));
}
