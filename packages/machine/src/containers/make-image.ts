/** An OCI image from files in memory, put into a store. */

import { sourceOf } from '@osguard/formats/bytes';
import type { Descriptor } from '@osguard/formats/oci';
import { digestOfBytes, encodeManifest, mediaTypes } from '@osguard/formats/oci';
import type { TarWriteEntry } from '@osguard/formats/tar';
import { writeTar } from '@osguard/formats/tar';
import type { ImageStore } from '@osguard/layers';

export interface LayerFile {
  /** Relative, slash-separated. */
  readonly path: string;
  readonly body: Uint8Array;
  /** Permission bits; 0644 unless told otherwise. */
  readonly mode?: number;
}

export interface NewImage {
  /** Files of its lowest layer, in which the mount points are as well. */
  readonly files: readonly LayerFile[];
  /** Files of the layers above it, from the base upwards. */
  readonly above?: readonly (readonly LayerFile[])[];
  /** `NAME=value` for its programs. */
  readonly env?: readonly string[];
  /** What it starts; `/greet` unless told otherwise. */
  readonly command?: readonly string[];
  readonly volumes?: readonly string[];
  readonly tag: string;
}

/** Mount points every container needs. */
const emptyFolders = ['dev', 'etc', 'mnt', 'proc', 'run', 'sys', 'tmp', 'var', 'var/tmp'];

/** The layers are neither compressed nor dated, so that the same files make the same image. */
export async function makeImage(store: ImageStore, image: NewImage): Promise<Descriptor> {
  const { files, above = [], env = [], command = ['/greet'], volumes = [], tag } = image;
  const tars = [layerTar(files, emptyFolders), ...above.map((each) => layerTar(each, []))];
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      config: {
        Env: ['PATH=/usr/bin:/bin', ...env],
        Cmd: command,
        Volumes: Object.fromEntries(volumes.map((path) => [path, {}])),
      },
      rootfs: { type: 'layers', diff_ids: tars.map(digestOfBytes) },
    }),
  );
  const layers: Descriptor[] = [];
  for (const tar of tars) layers.push(await pushBytes(store, mediaTypes.ociLayer, tar));
  const bytes = encodeManifest({
    kind: 'manifest',
    mediaType: mediaTypes.ociManifest,
    config: await pushBytes(store, mediaTypes.ociConfig, config),
    layers,
    annotations: new Map(),
  });
  return store.pushManifest(bytes, { mediaType: mediaTypes.ociManifest, tag });
}

export async function pushBytes(
  store: ImageStore,
  mediaType: string,
  bytes: Uint8Array,
): Promise<Descriptor> {
  const descriptor: Descriptor = { mediaType, digest: digestOfBytes(bytes), size: bytes.length };
  await store.pushBlob(descriptor, (offset) => once(bytes.subarray(offset)));
  return descriptor;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

function layerTar(files: readonly LayerFile[], empty: readonly string[]): Uint8Array {
  const plain = { uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 } };
  const folders = new Set(empty);
  for (const { path } of files) {
    const parts = path.split('/').slice(0, -1);
    for (const [index] of parts.entries()) folders.add(parts.slice(0, index + 1).join('/'));
  }
  const entries: TarWriteEntry[] = [
    ...[...folders].sort().map((path): TarWriteEntry => ({
      ...plain,
      path,
      kind: 'directory',
      mode: path.endsWith('tmp') ? 0o1777 : 0o755,
    })),
    ...files.map(({ path, body, mode = 0o644 }): TarWriteEntry => ({
      ...plain,
      path,
      kind: 'file',
      mode,
      body: sourceOf(body),
    })),
  ];
  return Buffer.concat(Array.from(writeTar(entries), (chunk) => Uint8Array.from(chunk)));
}
