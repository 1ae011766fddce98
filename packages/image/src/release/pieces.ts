/** Describes a sparse file for the manifest: its pieces by digest, everything else zero. */

import { createHash } from 'node:crypto';
import type { ByteSource, Segment } from '@osguard/formats/bytes';

/** A piece whose bytes are those of another file of the folder, or have this digest. */
export type DescribedPiece = {
  readonly offset: number;
  readonly size: number;
} & ({ readonly sameAs: string } | { readonly sha256: string });

const chunkSize = 1024 * 1024;

/**
 * @param written What was written, at its offsets; all else is a hole.
 * @param files Names of the files of the folder by the source that was copied from them: they are hashed anyway.
 */
export function describePieces(
  written: readonly Segment[],
  files: ReadonlyMap<ByteSource, string>,
): readonly DescribedPiece[] {
  return written
    .filter(({ body }) => body.size > 0)
    .toSorted((a, b) => a.offset - b.offset)
    .map(({ offset, body }) => {
      const sameAs = files.get(body);
      const known = sameAs === undefined ? { sha256: digestOf(body) } : { sameAs };
      return { offset, size: body.size, ...known };
    });
}

function digestOf(body: ByteSource): string {
  const hash = createHash('sha256');
  for (let at = 0; at < body.size; at += chunkSize) {
    hash.update(body.read(at, Math.min(chunkSize, body.size - at)));
  }
  return hash.digest('hex');
}
