/**
 * The Authenticode digest ("Windows Authenticode Portable Executable Signature Format", section "Calculating
 * the PE Image Hash"): all but the checksum, the certificate directory entry and the certificate table.
 */

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { DigestAlgorithm } from '../x509/index.ts';
import type { PeImage, PeSection } from './parse.ts';

export interface AuthenticodeDigestOptions {
  /** SHA-256 unless told otherwise. */
  readonly algorithm?: DigestAlgorithm;
  /**
   * True hashes zeros up to a multiple of 8 bytes after an unsigned image. A certificate table starts on such a
   * boundary, so this is what signing an unsigned image must sign; firmware measures one without the padding.
   */
  readonly padded?: boolean;
}

/** Bytes hashed at once. */
const chunk = 1024 * 1024;

export function authenticodeDigest(image: PeImage, options: AuthenticodeDigestOptions = {}): Uint8Array {
  const { source, at, sizeOfHeaders } = image;
  const hash = createHash(options.algorithm ?? 'sha256');
  const update = (start: number, stop: number): void => hashRange(hash, image, { start, stop });
  update(0, at.checksum);
  const afterChecksum = at.checksum + 4;
  if (at.certificateDirectory === undefined) {
    update(afterChecksum, sizeOfHeaders);
  } else {
    update(afterChecksum, at.certificateDirectory);
    update(at.certificateDirectory + 8, sizeOfHeaders);
  }
  let hashed = sizeOfHeaders;
  for (const { rawOffset, rawSize } of inFileOrder(image)) {
    update(rawOffset, rawOffset + rawSize);
    hashed += rawSize;
  }
  // The specification counts hashed bytes, not positions: the same unless sections leave gaps.
  const end = image.certificateTable?.offset ?? source.size;
  if (end > hashed) update(hashed, end);
  if (options.padded === true) hash.update(new Uint8Array(-end & 7));
  return hash.digest();
}

/**
 * The first stretch of the file that two readers could see differently: sections that overlap, or bytes other
 * than zero between them. Undefined when there is none, as in every well-made image.
 */
export function findUncovered(image: PeImage): string | undefined {
  let end = image.sizeOfHeaders;
  for (const { name, rawOffset, rawSize } of inFileOrder(image)) {
    if (rawOffset < end)
      return `section ${JSON.stringify(name)} at ${rawOffset} overlaps what ends at ${end}`;
    for (let at = end; at < rawOffset; at += chunk) {
      const gap = image.source.read(at, Math.min(chunk, rawOffset - at));
      if (gap.some((octet) => octet !== 0))
        return `bytes between ${end} and ${rawOffset} belong to no section`;
    }
    end = rawOffset + rawSize;
  }
  return undefined;
}

function inFileOrder(image: PeImage): readonly PeSection[] {
  return image.sections.filter(({ rawSize }) => rawSize > 0).sort((a, b) => a.rawOffset - b.rawOffset);
}

function hashRange(
  hash: Hash,
  image: PeImage,
  range: { readonly start: number; readonly stop: number },
): void {
  for (let at = range.start; at < range.stop; at += chunk) {
    hash.update(image.source.read(at, Math.min(chunk, range.stop - at)));
  }
}
