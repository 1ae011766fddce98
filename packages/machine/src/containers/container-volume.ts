/**
 * The proof's images as a disk of the host: an OCI layout with signatures and verity images, mounted where the host looks
 * before it asks a registry, and the archive to import. Nobody signed this disk; its files are data.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { encodeLayerRevocations, layerRevocationsType } from '@osguard/formats/layer';
import { digestHex } from '@osguard/formats/oci';
import type { Signer } from '@osguard/keys';
import { signDsse } from '@osguard/keys';
import type { VolumeFile } from '../prove/volume.ts';
import { buildVolume } from '../prove/volume.ts';
import type { TestImages, TestImagesOptions } from './test-images.ts';
import { makeTestImages } from './test-images.ts';

/** Serial number of the disk; udev makes a link by it. */
export const containerSerialNumber = 'containers';
export const containerDevice: string = `/dev/disk/by-id/virtio-${containerSerialNumber}`;
/** Where osguard-layers looks for layers brought by hand. */
export const layoutFolder = '/var/lib/osguard/layout';

export interface ContainerFiles {
  /** The disk's file. */
  readonly path: string;
  readonly images: TestImages;
  /** Signed lists of revoked layers: one without any, and a newer one that has the image `revoked`. */
  readonly revocations: Readonly<Record<'none' | 'newer', Uint8Array>>;
}

export type ContainerFilesOptions = Omit<TestImagesOptions, 'folder' | 'workFolder'> & {
  /** To write to. */
  readonly folder: string;
  /** Signs lists of revoked layers. */
  readonly release: Signer;
};

export async function writeContainerFiles(options: ContainerFilesOptions): Promise<ContainerFiles> {
  const layout = join(options.folder, 'layout');
  const images = await makeTestImages({
    ...options,
    folder: layout,
    workFolder: join(options.folder, 'layout-work'),
  });
  // They travel in the archive, and a host that makes a layer anew takes it from containerd.
  const layers = new Set(Object.values(images).map(({ layer }) => digestHex(layer)));
  const { bytes } = buildVolume({
    files: filesBelow(layout).filter(({ path }) => !layers.has(path.split('/').at(-1) ?? '')),
    label: () => 'system_u:object_r:container_var_lib_t:s0',
    salt: 'containers',
  });
  const path = join(options.folder, 'containers.raw');
  writeFileSync(path, bytes);
  const list = (version: number, rootHashes: readonly string[]): Promise<Uint8Array> =>
    revocationList(options.release, { version, rootHashes });
  const revocations = { none: await list(1, []), newer: await list(2, [images.revoked.rootHash ?? '']) };
  return { path, images, revocations };
}

async function revocationList(
  signer: Signer,
  { version, rootHashes }: { readonly version: number; readonly rootHashes: readonly string[] },
): Promise<Uint8Array> {
  const payload = encodeLayerRevocations({
    version,
    issued: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    rootHashes: rootHashes.map((rootHash) => ({ rootHash, reason: 'revoked by the proof' })),
    signers: [],
  });
  return signDsse(signer, { payloadType: layerRevocationsType, payload });
}

function filesBelow(folder: string): readonly VolumeFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ path: relative(folder, path), body: readFileSync(path) }));
}
