/** The images behind a name: one for each platform, with the layers that are file systems. */

import { FormatError } from '@osguard/formats/bytes';
import {
  assertDigest,
  formatPlatform,
  largestDocument,
  layerCompression,
  mediaTypes,
  parseImageConfig,
} from '@osguard/formats/oci';
import type { Descriptor, Digest, ImageConfig, ImageManifest, LayerCompression } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import type { ImageStore, StoredManifest, StoreOptions } from '../registry/store.ts';

export interface ImageLayer {
  /** From 0, the lowest. */
  readonly index: number;
  readonly descriptor: Descriptor;
  readonly compression: LayerCompression;
  readonly diffId: Digest;
}

export interface PlatformImage {
  /** `linux/amd64` */
  readonly platform: string;
  /** Of the manifest. */
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  readonly layers: readonly ImageLayer[];
}

export interface ImageSet {
  /** What the name pointed at: an index or a manifest. */
  readonly descriptor: Descriptor;
  readonly images: readonly PlatformImage[];
  /** Entries of the index that are no images to run (attestations). */
  readonly passedOver: number;
}

export interface ReadImagesOptions extends StoreOptions {
  /** `os/architecture` or `os/architecture/variant`; all of them unless given. */
  readonly platform?: string | undefined;
}

const deepest = 3;
const mostImages = 256;

/** @throws LayerError `not-found` when the platform asked for is not there. */
export async function readImages(
  store: ImageStore,
  which: string,
  { platform, signal }: ReadImagesOptions = {},
): Promise<ImageSet> {
  const top = await store.manifest(which, { signal });
  const found: StoredManifest[] = [];
  const passedOver = await collect(store, top, { found, depth: 0, signal });
  const images: PlatformImage[] = [];
  for (const stored of found) images.push(await readImage(store, stored, signal));
  const wanted = images.filter((image) => platform === undefined || isPlatform(image.platform, platform));
  if (wanted.length === 0) {
    const has = images.map((image) => image.platform).join(', ') || 'no image';
    throw new LayerError('not-found', `${store.name}: ${platform ?? 'no image'} is not there`, {
      hint: `it has ${has}`,
    });
  }
  return { descriptor: top.descriptor, images: wanted, passedOver };
}

async function collect(
  store: ImageStore,
  stored: StoredManifest,
  {
    found,
    depth,
    signal,
  }: { readonly found: StoredManifest[]; readonly depth: number; readonly signal: AbortSignal | undefined },
): Promise<number> {
  const { manifest, descriptor } = stored;
  if (manifest.kind === 'manifest') {
    if (!found.some((each) => each.descriptor.digest === descriptor.digest)) found.push(stored);
    if (found.length > mostImages)
      throw new LayerError('registry', `${store.name}: more than ${mostImages} platforms`);
    return 0;
  }
  if (depth >= deepest)
    throw new LayerError('registry', `${store.name}: indexes nested deeper than ${deepest}`);
  let passedOver = 0;
  for (const entry of manifest.manifests) {
    if (!isImageEntry(entry)) {
      passedOver += 1;
      continue;
    }
    const next = await store.manifest(entry.digest, { signal });
    if (next.descriptor.mediaType !== entry.mediaType) {
      throw new LayerError(
        'registry',
        `${store.name}: ${entry.digest} is ${next.descriptor.mediaType}, not ${entry.mediaType}`,
      );
    }
    passedOver += await collect(store, next, { found, depth: depth + 1, signal });
  }
  return passedOver;
}

/** BuildKit puts attestations into the index, as platform `unknown/unknown`. */
function isImageEntry({ platform, annotations, artifactType }: Descriptor): boolean {
  const isAttestation = annotations?.has('vnd.docker.reference.type') === true;
  return !isAttestation && artifactType === undefined && platform?.os !== 'unknown';
}

async function readImage(
  store: ImageStore,
  { manifest, descriptor }: StoredManifest,
  signal: AbortSignal | undefined,
): Promise<PlatformImage> {
  const where = `${store.name}@${descriptor.digest}`;
  if (manifest.kind !== 'manifest') throw new LayerError('registry', `${where}: no image manifest`);
  const { mediaType } = manifest.config;
  if (mediaType !== mediaTypes.ociConfig && mediaType !== mediaTypes.dockerConfig) {
    throw new LayerError('media-type', `${where}: an artifact (${mediaType}), not an image`);
  }
  const config = await readConfig(store, manifest.config, { where, signal });
  const layers = manifest.layers.map((layer, index): ImageLayer => {
    const compression = layerCompression(layer.mediaType);
    const diffId = config.diffIds[index];
    if (compression === undefined) {
      throw new LayerError(
        'media-type',
        `${where}: layer ${index} is ${layer.mediaType}, which is no file system layer`,
      );
    }
    if (diffId === undefined) throw new LayerError('registry', `${where}: layer ${index} has no diff ID`);
    return { index, descriptor: layer, compression, diffId };
  });
  if (config.diffIds.length !== layers.length) {
    throw new LayerError(
      'registry',
      `${where}: ${layers.length} layers, but ${config.diffIds.length} diff IDs`,
    );
  }
  return { platform: formatPlatform(config.platform), descriptor, manifest, config, layers };
}

async function readConfig(
  store: ImageStore,
  descriptor: Descriptor,
  { where, signal }: { readonly where: string; readonly signal: AbortSignal | undefined },
): Promise<ImageConfig> {
  try {
    const bytes = await readBlob(store, descriptor, { most: largestDocument, signal });
    assertDigest(bytes, descriptor.digest);
    return parseImageConfig(bytes);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new LayerError('registry', `${where}: ${cause.message}`, { cause });
  }
}

/** A small blob in memory. @throws LayerError `registry` when it is larger than `most` bytes. */
export async function readBlob(
  store: ImageStore,
  descriptor: Descriptor,
  { most, signal }: { readonly most: number; readonly signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  if (descriptor.size > most) {
    throw new LayerError(
      'registry',
      `${store.name}: ${descriptor.digest} has ${descriptor.size} bytes, at most ${most} are read`,
    );
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.blob(descriptor, { signal })) chunks.push(chunk);
  return Uint8Array.from(Buffer.concat(chunks));
}

/** `linux/arm64` also means `linux/arm64/v8`. */
function isPlatform(platform: string, wanted: string): boolean {
  return platform === wanted || platform.startsWith(`${wanted}/`);
}
