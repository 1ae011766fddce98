/**
 * The proof's images as a disk of the host: an OCI layout with signatures and verity images, mounted where the host looks
 * before it asks a registry, and the archive to import. Nobody signed this disk; its files are data.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { digestHex } from '@osguard/formats/oci';
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
}

export type ContainerFilesOptions = Omit<TestImagesOptions, 'folder' | 'workFolder'> & {
  /** To write to. */
  readonly folder: string;
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
  return { path, images };
}

function filesBelow(folder: string): readonly VolumeFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ path: relative(folder, path), body: readFileSync(path) }));
}
