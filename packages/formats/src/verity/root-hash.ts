/**
 * Root hashes: the digest at the top of a tree, the only thing that has to be signed. Written in lower-case
 * hex everywhere: on the kernel command line, in the device-mapper table and as the signed content.
 */

import { FormatError, fromHex, toHex } from '../bytes/index.ts';

declare const rootHashBrand: unique symbol;

/** Lower-case hexadecimal digest of the top of a hash tree: 40 to 128 characters. */
export type RootHash = string & { readonly [rootHashBrand]: true };

// SHA-1 (20 bytes) is the shortest and SHA-512 (64 bytes) the longest digest of `verityAlgorithms`.
const shortest = 20;
const longest = 64;

/** @throws FormatError `malformed` unless `digest` has the size of a supported digest. */
export function rootHashOf(digest: Uint8Array): RootHash {
  if (digest.length < shortest || digest.length > longest) {
    throw new FormatError('malformed', `root hash: ${digest.length} bytes are no digest`);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place where the brand is given
  return toHex(digest) as RootHash;
}

/**
 * A root hash as people pass it on; upper-case digits are accepted, white space is not.
 * @param digestSize bytes the algorithm in use gives; any supported size when absent.
 * @throws FormatError `malformed`
 */
export function parseRootHash(text: string, digestSize?: number): RootHash {
  const digest = fromHex(text, 'root hash');
  if (digestSize !== undefined && digest.length !== digestSize) {
    throw new FormatError('malformed', `root hash: expected ${digestSize} bytes, found ${digest.length}`);
  }
  return rootHashOf(digest);
}

export interface RootHashPartitionIds {
  /** Unique partition UUID of the data (/usr) partition: the first 128 bits of the root hash. */
  readonly data: string;
  /** Unique partition UUID of the hash tree partition: the last 128 bits. */
  readonly tree: string;
}

/** Partition UUIDs by which an initrd finds both halves (UAPI group, Discoverable Partitions Specification). */
export function rootHashPartitionIds(rootHash: RootHash): RootHashPartitionIds {
  return { data: uuidText(rootHash.slice(0, 32)), tree: uuidText(rootHash.slice(-32)) };
}

/** 32 hexadecimal digits with the hyphens of RFC 9562 between them. */
export function uuidText(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
