/** That the bytes of a release folder are those its manifest describes, to the last one. */

import { join } from 'node:path';
import type { ReleasePiece, SparseReleaseFile, WholeReleaseFile } from '@osguard/formats/release';
import type { FileThreads } from '../files/file-threads.ts';
import { hashFiles } from '../files/hash.ts';
import { CheckFailed } from './checks.ts';

interface Folder {
  readonly folder: string;
  readonly threads: FileThreads;
}

/** @throws CheckFailed for the first file with another digest; system errors reject. */
export async function compareWhole(
  files: readonly WholeReleaseFile[],
  { folder, threads }: Folder,
): Promise<void> {
  const hashed = await hashFiles(
    files.map(({ path }) => join(folder, path)),
    threads,
  );
  for (const [index, { path, sha256 }] of files.entries()) {
    const found = hashed[index]?.sha256 ?? '';
    if (found !== sha256) throw different(path, { found, expected: sha256 });
  }
}

export interface PiecesOptions extends Folder {
  readonly whole: readonly WholeReleaseFile[];
  /** Which pieces; all of them unless given. */
  readonly which?: (piece: ReleasePiece) => boolean;
}

/**
 * Each piece by its digest. A piece that has the digest of a whole file of the folder is compared with that file
 * instead: it is as sure, since what that file holds is proven, and a tenth of the work.
 * @throws CheckFailed for the first piece that is different; system errors reject.
 */
export async function comparePieces(
  { path, pieces }: SparseReleaseFile,
  { folder, threads, whole, which = () => true }: PiecesOptions,
): Promise<void> {
  const full = join(folder, path);
  const checks = pieces.filter(which).map(async (piece) => {
    const twin = whole.find((file) => isTwin(file, piece));
    const area = { path: full, offset: piece.offset, size: piece.size };
    if (twin === undefined) {
      const job = { path: full, algorithms: ['sha256'], bodies: [[area]] } as const;
      const found = (await threads.digests(job))[0]?.[0] ?? '';
      const where = `${path}, ${piece.size} bytes from byte ${piece.offset}`;
      if (found !== piece.sha256) throw different(where, { found, expected: piece.sha256 });
      return;
    }
    const at = await threads.compare({ area, other: { path: join(folder, twin.path), offset: 0 } });
    if (at === undefined) return;
    throw new CheckFailed('is not the same byte', {
      expected: `byte ${at} of ${twin.path}`,
      where: `${path}, byte ${piece.offset + at}`,
    });
  });
  await Promise.all(checks);
}

/** What the manifest says of both is the same. */
export function isTwin(file: WholeReleaseFile, piece: ReleasePiece): boolean {
  return file.size === piece.size && file.sha256 === piece.sha256;
}

/** @throws CheckFailed for the first byte outside of the pieces that is not zero; system errors reject. */
export async function checkGaps(
  { path, size, pieces }: SparseReleaseFile,
  { folder, threads }: Folder,
): Promise<void> {
  const full = join(folder, path);
  const gaps = gapsBetween(pieces, size).map(async ({ offset, size: length }) => {
    const at = await threads.nonZero({ path: full, offset, size: length });
    if (at === undefined) return;
    throw new CheckFailed('is not zero', { expected: '0', where: `${path}, byte ${offset + at}` });
  });
  await Promise.all(gaps);
}

function gapsBetween(
  pieces: readonly ReleasePiece[],
  end: number,
): { readonly offset: number; readonly size: number }[] {
  const gaps: { offset: number; size: number }[] = [];
  let at = 0;
  for (const { offset, size } of pieces) {
    if (offset > at) gaps.push({ offset: at, size: offset - at });
    at = offset + size;
  }
  if (end > at) gaps.push({ offset: at, size: end - at });
  return gaps;
}

function different(where: string, { found, expected }: { found: string; expected: string }): CheckFailed {
  return new CheckFailed(`sha256 ${found}`, { expected: `sha256 ${expected}`, where });
}
