/** Writes release.json: size and digest of every file of the folder, signed by the role `release`. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReleaseManifest } from '@osguard/formats/release';
import { encodeRelease, releasePayloadType } from '@osguard/formats/release';
import type { Signer } from '@osguard/keys';
import { signDsse } from '@osguard/keys';
import { ImageError } from '../error.ts';
import { writeWhole } from '../files/write.ts';
import type { HashedFile } from '../files/hash.ts';
import { hashFiles } from '../files/hash.ts';
import { manifestName } from './folder.ts';

export interface WriteManifestOptions {
  readonly facts: Omit<ReleaseManifest, 'files'>;
  readonly signer: Signer;
  /** Files of the folder whose digests are known already. */
  readonly hashed?: readonly HashedFile[];
}

export async function writeManifest(
  folder: string,
  { facts, signer, hashed: known = [] }: WriteManifestOptions,
): Promise<ReleaseManifest> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((entry) => entry.isFile() && entry.name !== manifestName)
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort((a, b) => (a < b ? -1 : 1));
  const full = paths.map((path) => join(folder, path));
  const digests = new Map(known.map((file) => [file.path, file]));
  for (const file of await hashFiles(full.filter((path) => !digests.has(path)))) digests.set(file.path, file);
  const files = paths.map((path, index) => {
    const file = digests.get(full[index] ?? '');
    if (file === undefined) throw new ImageError('incomplete-root', `${path} was not hashed`);
    return { path, size: file.size, sha256: file.sha256 };
  });
  const manifest = { ...facts, files };
  const envelope = await signDsse(signer, {
    payloadType: releasePayloadType,
    payload: encodeRelease(manifest),
  });
  await writeWhole(join(folder, manifestName), envelope);
  return manifest;
}
