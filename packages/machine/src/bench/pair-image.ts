/** The image of the figures, for both sides: an OCI layout with signatures and verity images, and an archive for `ctr`. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Keyring } from '@osguard/keys';
import { openLayout, signImage } from '@osguard/layers';
import { greetingProgram, waitingProgram } from '../containers/greeting-program.ts';
import type { LayerFile } from '../containers/make-image.ts';
import { makeImage } from '../containers/make-image.ts';
import { archiveName, writeArchive } from '../containers/test-images.ts';
import { buildVolume } from '../prove/volume.ts';

export interface PairImageOptions {
  /** Files of the lowest layer. */
  readonly files: readonly LayerFile[];
  /** Layers in all. */
  readonly layers: number;
  /** With the role layers. */
  readonly keyring: Keyring;
  /** Made when missing. */
  readonly folder: string;
}

export interface PairImage {
  /** As containerd knows it. */
  readonly reference: string;
  /** A volume with the layout; the archive in it is the file {@link archiveName}. */
  readonly path: string;
  /** Of the lowest layer, uncompressed. */
  readonly bytes: number;
}

const reference = 'bench.osguard.test/image:1';

export async function writePairImage(options: PairImageOptions): Promise<PairImage> {
  const { files, layers, keyring, folder } = options;
  const layout = join(folder, 'layout');
  mkdirSync(layout, { recursive: true });
  const store = openLayout(layout);
  const programs = [
    { path: 'greet', body: greetingProgram(), mode: 0o755 },
    { path: 'wait', body: waitingProgram(), mode: 0o755 },
  ];
  // As images are built: one large layer, and small ones above it.
  const above = Array.from({ length: layers - 1 }, (_, index): readonly LayerFile[] => [
    { path: `app/part-${index}`, body: Buffer.from(`part ${index}\n`) },
    ...(index === layers - 2 ? programs : []),
  ]);
  const descriptor = await makeImage(store, { files, above, tag: 'image' });
  const signer = await keyring.signer('layers');
  await signImage({ store, tag: 'image', name: reference }, { signer, workFolder: folder });
  await store.close();
  writeArchive(layout, [{ descriptor, reference }]);
  const { bytes } = buildVolume({
    files: filesBelow(layout),
    label: () => 'system_u:object_r:container_var_lib_t:s0',
    salt: 'bench',
  });
  const path = join(folder, 'image.raw');
  writeFileSync(path, bytes);
  return { reference, path, bytes: files.reduce((sum, { body }) => sum + body.length, 0) };
}

function filesBelow(folder: string): readonly { readonly path: string; readonly body: Uint8Array }[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ path: relative(folder, path), body: readFileSync(path) }));
}

export { archiveName };
