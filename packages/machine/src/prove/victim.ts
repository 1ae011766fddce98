/** A file of /usr whose first block is its own, so that one byte of it can be changed below dm-verity. */

import { sliceSource } from '@osguard/formats/bytes';
import { readErofs } from '@osguard/formats/erofs';
import { gptTypes, partitionExtent, readGpt } from '@osguard/formats/gpt';
import type { RootHash } from '@osguard/formats/verity';
import {
  parseVeritySuperblock,
  rootHashPartitionIds,
  verityGeometry,
  veritySuperblockSize,
} from '@osguard/formats/verity';
import type { FileSource } from '@osguard/image';
import { MachineError } from '../error.ts';

export interface Victim {
  /** As the host names it. */
  readonly path: string;
  /** Of a byte of its first block in the data partition. */
  readonly offset: number;
  /** Where data partition and hash tree partition begin on the disk. Bytes. */
  readonly data: number;
  readonly tree: number;
  /** Of the hash block that covers the first blocks of /usr, on the disk. Bytes. */
  readonly firstLeaf: number;
}

/** Nobody reads these while the host boots, so the change is met when the intruder reads the file and not before. */
const quietFolder = '/share/';
const smallestVictim = 16_384;

export function findVictim(disk: FileSource, rootHash: RootHash): Victim {
  const table = readGpt(disk);
  const ids = rootHashPartitionIds(rootHash);
  const extentOf = (type: string, guid: string): { readonly offset: number; readonly size: number } => {
    const partition = table.partitions.find((each) => each.type === type && each.guid === guid);
    if (partition === undefined) throw new MachineError('bad-option', `${disk.path}: no partition ${guid}`);
    return partitionExtent(partition, table.sectorSize);
  };
  const data = extentOf(gptTypes.usrX86_64, ids.data);
  const tree = extentOf(gptTypes.usrVerityX86_64, ids.tree);
  const superblock = parseVeritySuperblock(disk.read(tree.offset, veritySuperblockSize));
  const firstLeaf = tree.offset + (verityGeometry(superblock).levels[0]?.offset ?? 0);
  const usr = readErofs(sliceSource(disk, data.offset, data.size));
  for (const { path, node } of usr.walk()) {
    // Above one block the first block of a flat file is never inline.
    if (node.type === 'file' && path.startsWith(quietFolder) && node.size >= smallestVictim) {
      const first = node.union * usr.superblock.blockSize;
      return { path: `/usr${path}`, offset: first + 100, data: data.offset, tree: tree.offset, firstLeaf };
    }
  }
  throw new MachineError(
    'bad-option',
    `${disk.path}: no file of ${smallestVictim} bytes below /usr${quietFolder}`,
  );
}
