/** Small images for tests, put together from the formats alone. */

import { gzipSync, zstdCompressSync } from 'node:zlib';
import { sourceOf } from '@osguard/formats/bytes';
import { digestOfBytes, encodeManifest, mediaTypes } from '@osguard/formats/oci';
import type { Descriptor } from '@osguard/formats/oci';
import { writeTar } from '@osguard/formats/tar';
import type { TarWriteEntry } from '@osguard/formats/tar';
import type { ImageStore } from '@osguard/layers';

export type MadeFile = { readonly path: string; readonly body: string | Uint8Array; readonly mode?: number };

export interface MadeImageOptions {
  /** Files of each layer, the lowest first. */
  readonly layers: readonly (readonly MadeFile[])[];
  readonly compression?: 'gzip' | 'zstd' | 'none';
  /** More members of the config's `config`. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly architecture?: string;
  readonly docker?: boolean;
}

export function tarOf(files: readonly MadeFile[]): Uint8Array {
  const entries = files.map(({ path, body, mode = 0o644 }): TarWriteEntry => ({
    path,
    kind: 'file',
    mode,
    uid: 0,
    gid: 0,
    mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
    body: sourceOf(typeof body === 'string' ? Buffer.from(body) : body),
  }));
  return Buffer.concat([...writeTar(entries)]);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

export async function pushBlobBytes(
  store: ImageStore,
  mediaType: string,
  bytes: Uint8Array,
): Promise<Descriptor> {
  const descriptor: Descriptor = { mediaType, digest: digestOfBytes(bytes), size: bytes.length };
  await store.pushBlob(descriptor, (offset) => once(bytes.subarray(offset)));
  return descriptor;
}

/** Pushes the image; under `tag` when one is given. */
export async function makeImage(
  store: ImageStore,
  options: MadeImageOptions & { readonly tag?: string },
): Promise<Descriptor> {
  const { compression = 'gzip', docker = false, architecture = 'amd64', tag } = options;
  const tars = options.layers.map(tarOf);
  const layers: Descriptor[] = [];
  for (const tar of tars) {
    const [type, bytes] =
      compression === 'gzip'
        ? [docker ? mediaTypes.dockerLayerGzip : mediaTypes.ociLayerGzip, gzipSync(tar)]
        : compression === 'zstd'
          ? [mediaTypes.ociLayerZstd, zstdCompressSync(tar)]
          : [docker ? mediaTypes.dockerLayer : mediaTypes.ociLayer, tar];
    layers.push(await pushBlobBytes(store, type, bytes));
  }
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture,
      config: options.config ?? {},
      rootfs: { type: 'layers', diff_ids: tars.map((tar) => digestOfBytes(tar)) },
    }),
  );
  const mediaType = docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
  const bytes = encodeManifest({
    kind: 'manifest',
    mediaType,
    config: await pushBlobBytes(store, docker ? mediaTypes.dockerConfig : mediaTypes.ociConfig, config),
    layers,
    annotations: new Map(),
  });
  return store.pushManifest(bytes, { mediaType, ...(tag !== undefined && { tag }) });
}

export async function makeIndex(
  store: ImageStore,
  {
    images,
    tag,
  }: {
    readonly images: readonly (MadeImageOptions & { readonly architecture: string })[];
    readonly tag: string;
  },
): Promise<Descriptor> {
  const manifests: Descriptor[] = [];
  for (const image of images) {
    const descriptor = await makeImage(store, image);
    manifests.push({ ...descriptor, platform: { os: 'linux', architecture: image.architecture } });
  }
  // What BuildKit adds to every index: nothing that runs.
  const attestation = await makeImage(store, { layers: [] });
  manifests.push({ ...attestation, platform: { os: 'unknown', architecture: 'unknown' } });
  const mediaType = mediaTypes.ociIndex;
  const bytes = encodeManifest({ kind: 'index', mediaType, manifests, annotations: new Map() });
  return store.pushManifest(bytes, { mediaType, tag });
}
