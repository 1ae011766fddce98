/**
 * Writes provenance.json and release.json: what the files of the folder were made of, and size and digest of every one.
 * The role `release` signs both.
 */

import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { inTotoPayloadType } from '@osguard/formats/dsse';
import type { ReleaseFile, ReleaseManifest, ReleaseProvenance } from '@osguard/formats/release';
import {
  encodeProvenance,
  encodeRelease,
  provenanceSubjects,
  releasePayloadType,
} from '@osguard/formats/release';
import type { Signer } from '@osguard/keys';
import { signDsse } from '@osguard/keys';
import { ImageError } from '../error.ts';
import type { FileThreads } from '../files/file-threads.ts';
import { writeWhole } from '../files/write.ts';
import type { HashedFile } from '../files/hash.ts';
import { hashFiles } from '../files/hash.ts';
import { manifestName } from './folder.ts';
import type { DescribedPiece } from './pieces.ts';
import { provenanceName } from './provenance.ts';

export interface WriteManifestOptions {
  readonly facts: Omit<ReleaseManifest, 'files'>;
  /** How the files came about. */
  readonly build: Omit<ReleaseProvenance, 'subjects'>;
  readonly signer: Signer;
  /** Hashes what is not known yet. */
  readonly threads: FileThreads;
  /** Files of the folder whose digests are known already. */
  readonly hashed?: readonly HashedFile[];
  /** Sparse files, by name: described by their pieces instead of one digest. */
  readonly sparse?: ReadonlyMap<string, readonly DescribedPiece[]>;
}

export async function writeManifest(folder: string, options: WriteManifestOptions): Promise<ReleaseManifest> {
  const { facts, build, signer } = options;
  const made = await describeFiles(folder, options);
  const provenance = await signDsse(signer, {
    payloadType: inTotoPayloadType,
    payload: encodeProvenance({ ...build, subjects: provenanceSubjects(made) }),
  });
  await writeWhole(join(folder, provenanceName), provenance);
  const sha256 = createHash('sha256').update(provenance).digest('hex');
  const own: ReleaseFile = { path: provenanceName, size: provenance.length, sha256 };
  const manifest = { ...facts, files: [...made, own].toSorted((a, b) => (a.path < b.path ? -1 : 1)) };
  const envelope = await signDsse(signer, {
    payloadType: releasePayloadType,
    payload: encodeRelease(manifest),
  });
  await writeWhole(join(folder, manifestName), envelope);
  return manifest;
}

async function describeFiles(
  folder: string,
  { threads, hashed = [], sparse = new Map() }: WriteManifestOptions,
): Promise<readonly ReleaseFile[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((entry) => entry.isFile() && entry.name !== manifestName)
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort((a, b) => (a < b ? -1 : 1));
  const known = new Set(hashed.map(({ path }) => path));
  const left = paths.filter((path) => !sparse.has(path)).map((path) => join(folder, path));
  const rest = await hashFiles(
    left.filter((path) => !known.has(path)),
    threads,
  );
  const digests = new Map([...hashed, ...rest].map((file) => [file.path, file]));
  const hashedFile = (path: string): HashedFile => {
    const file = digests.get(join(folder, path));
    if (file === undefined) throw new ImageError('incomplete-root', `${path} was not hashed`);
    return file;
  };
  const files: ReleaseFile[] = [];
  for (const path of paths) {
    const described = sparse.get(path);
    if (described === undefined) {
      const { size, sha256 } = hashedFile(path);
      files.push({ path, size, sha256 });
    } else {
      const pieces = described.map((piece) => ({
        offset: piece.offset,
        size: piece.size,
        sha256: 'sameAs' in piece ? hashedFile(piece.sameAs).sha256 : piece.sha256,
      }));
      files.push({ path, size: (await stat(join(folder, path))).size, pieces });
    }
  }
  return files;
}
