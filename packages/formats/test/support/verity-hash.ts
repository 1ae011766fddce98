/** A plain hash function and a plain way to cut data into blocks, for the tests of this structure. */

import { createHash } from 'node:crypto';
import type { VerityBlockHash, VerityGeometry } from '@osguard/formats/verity';

const nodeNames: Readonly<Record<string, string>> = {
  'blake2s-256': 'blake2s256',
  'blake2b-512': 'blake2b512',
};

export function hasher({ algorithm, hashType }: VerityGeometry, salt: Uint8Array): VerityBlockHash {
  const name = nodeNames[algorithm] ?? algorithm;
  return (block) => {
    const parts = hashType === 1 ? [salt, block] : [block, salt];
    return createHash(name).update(Buffer.concat(parts)).digest();
  };
}

export function* blocksOf(data: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}
