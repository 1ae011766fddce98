/** A release folder as `osguard image build` leaves it: where its files are and what its manifest says. */

import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { DsseEnvelope } from '@osguard/formats/dsse';
import { parseDsse } from '@osguard/formats/dsse';
import type { ReleaseManifest } from '@osguard/formats/release';
import { parseRelease, releasePayloadType } from '@osguard/formats/release';
import type { RootHash } from '@osguard/formats/verity';
import { parseRootHash } from '@osguard/formats/verity';
import { ImageError } from '../error.ts';

/** The signed manifest: every other file of the folder is named in it. */
export const manifestName = 'release.json';
/** Bytes; a manifest has a few dozen lines. */
const largestManifest = 4 * 1024 * 1024;

export interface ReleaseFolder {
  readonly path: string;
  readonly name: string;
  readonly version: string;
  readonly rootHash: RootHash;
  /** Roles whose certificates the firmware's db must hold for this release to boot. */
  readonly databaseRoles: readonly ('boot' | 'usr' | 'layers')[];
  readonly manifest: ReleaseManifest;
  /** Not verified here: `verifyImage` does. */
  readonly envelope: DsseEnvelope;
  /** Path of one of its files. @throws ImageError (`not-an-image`) when it is not there. */
  file(name: string): string;
}

/** Reads the manifest; nothing is verified. @throws ImageError (`not-an-image`), FormatError for a broken manifest. */
export async function openRelease(folder: string): Promise<ReleaseFolder> {
  const path = resolve(folder);
  const manifestPath = join(path, manifestName);
  if (!existsSync(manifestPath)) {
    const says = existsSync(path) ? `is no release folder: it has no ${manifestName}` : 'is not there';
    throw new ImageError('not-an-image', `${folder} ${says}`, {
      hint: 'osguard image build -f DEFINITION --keys KEYS -o OUT makes one',
    });
  }
  if ((await stat(manifestPath)).size > largestManifest) {
    throw new ImageError('not-an-image', `${manifestPath} is too large for a manifest`);
  }
  const envelope = parseDsse(await readFile(manifestPath));
  if (envelope.payloadType !== releasePayloadType) {
    throw new ImageError('not-an-image', `${manifestPath} is a DSSE envelope around ${envelope.payloadType}`);
  }
  const manifest = parseRelease(envelope.payload);
  return {
    path,
    name: manifest.name,
    version: manifest.version,
    rootHash: parseRootHash(manifest.rootHash),
    databaseRoles: databaseRoles(manifest.kernel),
    manifest,
    envelope,
    file(name) {
      const file = join(path, name);
      if (!existsSync(file)) throw new ImageError('not-an-image', `${folder}: no ${name}`);
      return file;
    },
  };
}

/**
 * Kernels from 7.0 on have the keyring .dm-verity, which the initrd fills; on older ones every certificate that may
 * sign a root hash has to be known to the firmware.
 */
export function databaseRoles(kernelVersion: string): ReleaseFolder['databaseRoles'] {
  const major = Number.parseInt(kernelVersion, 10);
  return major >= 7 ? ['boot'] : ['boot', 'usr', 'layers'];
}
