/** Writes release.json: size and digest of every file of the folder, signed by the role `release`. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReleaseManifest } from '@osguard/formats/release';
import { encodeRelease, releasePayloadType } from '@osguard/formats/release';
import type { Signer } from '@osguard/keys';
import { signDsse } from '@osguard/keys';
import { writeWhole } from '../files/write.ts';
import { hashFiles } from '../files/hash.ts';
import { manifestName } from './folder.ts';

export interface WriteManifestOptions {
  readonly facts: Omit<ReleaseManifest, 'files'>;
  readonly signer: Signer;
}

export async function writeManifest(
  folder: string,
  { facts, signer }: WriteManifestOptions,
): Promise<ReleaseManifest> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((entry) => entry.isFile() && entry.name !== manifestName)
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort((a, b) => (a < b ? -1 : 1));
  const hashed = await hashFiles(paths.map((path) => join(folder, path)));
  const files = hashed.map(({ size, sha256 }, index) => ({ path: paths[index] ?? '', size, sha256 }));
  const manifest = { ...facts, files };
  const envelope = await signDsse(signer, {
    payloadType: releasePayloadType,
    payload: encodeRelease(manifest),
  });
  await writeWhole(join(folder, manifestName), envelope);
  return manifest;
}
