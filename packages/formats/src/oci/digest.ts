/** Digests as OCI image-spec 1.1 writes them (descriptor.md, "Digests"): the registered algorithms only. */

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';

/** `sha256:` or `sha512:` and lower-case hex. */
export type Digest = string & { readonly __brand: 'oci-digest' };

const pattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: string): text is Digest {
  return pattern.test(text);
}

/** @throws FormatError unless `text` is a digest with a registered algorithm. */
export function parseDigest(text: string, what = 'digest'): Digest {
  if (isDigest(text)) return text;
  throw new FormatError(
    'malformed',
    `${what}: expected sha256: or sha512: and lower-case hex, found ${quote(text)}`,
  );
}

export function digestAlgorithm(digest: Digest): 'sha256' | 'sha512' {
  return digest.startsWith('sha256:') ? 'sha256' : 'sha512';
}

/** Without the algorithm. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** SHA-256 of the bytes. */
export function digestOfBytes(bytes: Uint8Array): Digest {
  return finishDigest(createHash('sha256').update(bytes), 'sha256');
}

/** A hash to update with what `digest` should be the digest of. */
export function hashFor(digest: Digest): Hash {
  return createHash(digestAlgorithm(digest));
}

/** Ends `hash`. */
export function finishDigest(hash: Hash, algorithm: 'sha256' | 'sha512'): Digest {
  return parseDigest(`${algorithm}:${hash.digest('hex')}`);
}

/** @throws FormatError (`checksum`) unless `bytes` have this digest. */
export function assertDigest(bytes: Uint8Array, digest: Digest): void {
  const found = hashFor(digest).update(bytes).digest('hex');
  if (found !== digestHex(digest)) {
    throw new FormatError(
      'checksum',
      `expected ${digest}, the bytes are ${digestAlgorithm(digest)}:${found}`,
    );
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
