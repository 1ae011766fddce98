/**
 * Digest algorithms a dm-verity tree may name. The name is the one of the kernel's crypto API, which is also
 * what veritysetup writes (linux/Documentation/admin-guide/device-mapper/verity.rst, `<algorithm>`).
 */

import { FormatError } from '../bytes/index.ts';

/**
 * Digest sizes in bytes. MD5 is left out on purpose: a tree under it proves nothing. blake2b-256 (Android's)
 * is left out because OpenSSL, and therefore Node, computes blake2b only with 512 bits.
 */
const digestSizes: Readonly<Record<string, number>> = {
  sha1: 20,
  sha224: 28,
  sha256: 32,
  sha384: 48,
  sha512: 64,
  'sha3-224': 28,
  'sha3-256': 32,
  'sha3-384': 48,
  'sha3-512': 64,
  'blake2s-256': 32,
  'blake2b-512': 64,
  ripemd160: 20,
  sm3: 32,
};

/** Names {@link verityDigestSize} knows, the most usual ones first. */
export const verityAlgorithms: readonly string[] = Object.keys(digestSizes);

/**
 * Size of one digest in bytes.
 * @throws FormatError `unsupported` for an algorithm this implementation cannot compute.
 */
export function verityDigestSize(algorithm: string): number {
  const size = Object.hasOwn(digestSizes, algorithm) ? digestSizes[algorithm] : undefined;
  if (size === undefined) {
    throw new FormatError('unsupported', `hash algorithm ${JSON.stringify(algorithm)} is not supported`, {
      hint: `use one of ${verityAlgorithms.join(', ')}`,
    });
  }
  return size;
}
