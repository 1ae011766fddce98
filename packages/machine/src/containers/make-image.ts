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
  /** Files of its only layer. */
  readonly files: readonly LayerFile[];
  /** `NAME=value` for its programs. */
  readonly env?: readonly string[];
  readonly tag: string;
}

/** Mount points every container needs. */
const emptyFolders = ['dev', 'etc', 'mnt', 'proc', 'run', 'sys', 'tmp', 'var', 'var/tmp'];

/** The layer is neither compressed nor dated, so that the same files make the same image. */
export async function makeImage(store: ImageStore, { files, env = [], tag }: NewImage): Promise<Descriptor> {
  const layer = layerTar(files);
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      config: { Env: ['PATH=/usr/bin:/bin', ...env], Cmd: ['/greet'] },
      rootfs: { type: 'layers', diff_ids: [digestOfBytes(layer)] },
    }),
  );
  const bytes = encodeManifest({
    kind: 'manifest',
    mediaType: mediaTypes.ociManifest,
    config: await pushBytes(store, mediaTypes.ociConfig, config),
    layers: [await pushBytes(store, mediaTypes.ociLayer, layer)],
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

function layerTar(files: readonly LayerFile[]): Uint8Array {
  const plain = { uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 } };
  const folders = new Set(emptyFolders);
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
