/**
 * A tree in words: the device-mapper table line by which a kernel opens it (verity.rst, "Construction
 * Parameters") and the summary `veritysetup dump` prints.
 */

import { FormatError, toHex } from '../bytes/index.ts';
import type { VerityGeometry } from './geometry.ts';
import type { RootHash } from './root-hash.ts';
import type { VeritySuperblock } from './superblock.ts';

export interface VerityTableOptions {
  readonly geometry: VerityGeometry;
  readonly rootHash: RootHash;
  readonly salt: Uint8Array;
  /** Path or major:minor. */
  readonly dataDevice: string;
  /** Path or major:minor; the same as the data device when the tree is appended to the data. */
  readonly hashDevice: string;
  /** Optional parameters in order, for example `panic_on_corruption` or `root_hash_sig_key_desc`, `NAME`. */
  readonly optional?: readonly string[];
}

/** One line for `dmsetup create`: `0 SECTORS verity 1 …`, sectors of 512 bytes. */
export function verityTableLine(options: VerityTableOptions): string {
  const { geometry, rootHash, salt, dataDevice, hashDevice, optional = [] } = options;
  for (const word of [dataDevice, hashDevice, ...optional]) {
    if (!/^[!-~]+$/.test(word)) {
      throw new FormatError('not-encodable', `${JSON.stringify(word)} is no word of a device-mapper table`);
    }
  }
  const words = [
    0,
    geometry.dataBytes / 512,
    'verity',
    geometry.hashType,
    dataDevice,
    hashDevice,
    geometry.dataBlockSize,
    geometry.hashBlockSize,
    geometry.dataBlocks,
    geometry.treeOffset / geometry.hashBlockSize,
    geometry.algorithm,
    rootHash,
    salt.length === 0 ? '-' : toHex(salt),
  ];
  if (optional.length > 0) words.push(optional.length, ...optional);
  return words.join(' ');
}

/** The lines of `veritysetup dump` for this superblock, ready to print (each ends with a newline). */
export function describeVerity(superblock: VeritySuperblock, geometry: VerityGeometry): string {
  const { salt } = superblock;
  const rows: (readonly [string, string | number])[] = [
    ['UUID:            ', superblock.uuid],
    ['Hash type:       ', superblock.hashType],
    ['Data blocks:     ', superblock.dataBlocks],
    ['Data block size: ', superblock.dataBlockSize],
    ['Hash blocks:     ', geometry.treeBlocks],
    ['Hash block size: ', superblock.hashBlockSize],
    ['Hash algorithm:  ', superblock.algorithm],
    ['Salt:            ', salt.length === 0 ? '-' : toHex(salt)],
  ];
  // veritysetup knows no device size when the tree does not start at the front.
  if (geometry.hashOffset === 0) rows.push(['Hash device size: ', `${geometry.hashEnd} [bytes]`]);
  return rows.map(([label, value]) => `${label}\t${value}\n`).join('');
}
