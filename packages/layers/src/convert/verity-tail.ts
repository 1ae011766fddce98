/** What follows the data of a verity image: superblock, its padding, and the levels of the hash tree. */

import { encodeVeritySuperblock, veritySuperblockSize } from '@osguard/formats/verity';
import type { BuiltTree } from '@osguard/image/verity';
import { layerBlockSize, layerSalt } from './format.ts';

/** @param uuid 16 bytes. @returns pieces that lie one after another from the end of the data on. */
export function verityTail({ geometry, pieces }: BuiltTree, uuid: Uint8Array): readonly Uint8Array[] {
  const hex = Buffer.from(uuid).toString('hex');
  const superblock = encodeVeritySuperblock({
    ...geometry,
    salt: layerSalt,
    uuid: hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
  });
  return [superblock, new Uint8Array(layerBlockSize - veritySuperblockSize), ...pieces];
}
