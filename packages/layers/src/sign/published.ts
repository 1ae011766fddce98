/** Verity images somebody published: finding them by the layer they are of, and fetching one. */

import { setImmediate } from 'node:timers/promises';
import { FormatError } from '@osguard/formats/bytes';
import type { Descriptor, Digest } from '@osguard/formats/oci';
import type { RootHash } from '@osguard/formats/verity';
import { LayerError } from '../error.ts';
import type { ImageStore, StoreOptions } from '../registry/store.ts';
import { readBlob } from '../sources/images.ts';
import { openDownload } from '../transport/download.ts';
import type { DownloadedImage } from '../transport/download.ts';
import { verityLayerMediaType } from '../transport/media-type.ts';
import type { ArtifactClaim } from './artifact.ts';
import { claimOf, parseVerityArtifact } from './artifact.ts';

export interface PublishedImage {
  /** Of the artifact's manifest. */
  readonly artifact: Digest;
  readonly layerDigest: Digest;
  /** What the artifact claims; the signatures and the image itself say whether it is true. */
  readonly rootHash: RootHash;
  readonly diffId: Digest;
  readonly transport: Descriptor;
  /** PKCS #7, DER. */
  readonly signatures: readonly Uint8Array[];
}

export interface FindImagesOptions extends StoreOptions {
  /** Artifacts of which this says yes are read first; without it, in the order of the store. */
  readonly isLikely?: ((claim: ArtifactClaim) => boolean) | undefined;
}

/** Bytes of manifests and signatures that are read for one layer. */
const mostRead = 64 * 1024 * 1024;
/** Milliseconds in which they are read. */
const longestSearch = 5 * 60_000;
/** Bytes: those we publish have some kilobytes. */
const largestArtifact = 256 * 1024;
const largestSignature = 64 * 1024;

/**
 * Every verity image published for a layer; none is an empty list. Artifacts that are not what they should be are passed
 * over: anybody who may push can add one, and must not be able to hide the others.
 *
 * @throws LayerError when the store cannot be read, or there is more than can be looked at.
 */
export async function findVerityImages(
  store: ImageStore,
  layerDigest: Digest,
  options: FindImagesOptions = {},
): Promise<readonly PublishedImage[]> {
  const found: PublishedImage[] = [];
  for await (const image of verityImages(store, layerDigest, options)) found.push(image);
  return found;
}

/** The same one by one, each read when its turn comes: what a search may cost is bounded in bytes and time, not in number. */
export async function* verityImages(
  store: ImageStore,
  layerDigest: Digest,
  { isLikely, signal }: FindImagesOptions = {},
): AsyncGenerator<PublishedImage, void, undefined> {
  const listed = await store.referrers(layerDigest, { artifactType: verityLayerMediaType, signal });
  const fitting = listed.filter(({ size }) => size <= largestArtifact);
  const started = performance.now();
  let spent = 0;
  for await (const { digest } of likelyFirst(fitting, isLikely)) {
    if (spent > mostRead || performance.now() - started > longestSearch) {
      throw new LayerError(
        'registry',
        `${store.name}: ${fitting.length} artifacts for layer ${layerDigest}, too many to look at`,
        { hint: 'remove what does not belong there' },
      );
    }
    const { image, read } = await readPublished(store, { digest, layerDigest, signal });
    spent += read;
    if (image !== undefined) yield image;
  }
}

/** Each is judged when its turn comes: looking at a signature is work, and the first may do. */
async function* likelyFirst(
  entries: readonly Descriptor[],
  isLikely: FindImagesOptions['isLikely'],
): AsyncGenerator<Descriptor, void, undefined> {
  const others: Descriptor[] = [];
  for (const entry of entries) {
    if (isLikely === undefined || isLikely(claimOf(entry))) yield entry;
    else others.push(entry);
    // Who else has work in this process gets on with it.
    if (others.length % 64 === 63) await setImmediate();
  }
  yield* others;
}

async function readPublished(
  store: ImageStore,
  {
    digest,
    layerDigest,
    signal,
  }: { readonly digest: Digest; readonly layerDigest: Digest; readonly signal: AbortSignal | undefined },
): Promise<{ readonly image?: PublishedImage; readonly read: number }> {
  let read = 0;
  try {
    const { manifest, descriptor } = await store.manifest(digest, { signal });
    read += descriptor.size;
    if (manifest.kind !== 'manifest') return { read };
    const { rootHash, diffId, transport, signatures } = parseVerityArtifact(manifest, layerDigest);
    const messages: Uint8Array[] = [];
    for (const each of signatures) {
      read += each.size;
      messages.push(await readBlob(store, each, { most: largestSignature, signal }));
    }
    const image = { artifact: digest, layerDigest, rootHash, diffId, transport, signatures: messages };
    return { image, read };
  } catch (error) {
    if (error instanceof FormatError) return { read };
    // The referrers list can be newer than what it lists, or older.
    if (error instanceof LayerError && ['not-found', 'registry', 'digest'].includes(error.code))
      return { read };
    throw error;
  }
}

/**
 * Most that the verity image of a layer can have. deflate makes at most 1,032 bytes of one (RFC 1951: 258 bytes from two
 * bits), zstd is not given more, an archive that is not compressed has its own size; the image has at most as many bytes as
 * the archive, and 64 MiB are left for what is rounded up.
 *
 * @param layer as the image lists it. @returns bytes.
 */
export function largestVerityImage({ mediaType, size }: Pick<Descriptor, 'mediaType' | 'size'>): number {
  const ratio = /\+(?:gzip|zstd)$|\.gzip$/.test(mediaType) ? 1032 : 2;
  return Math.min(64 * 2 ** 30, 64 * 2 ** 20 + ratio * size);
}

export interface FetchImageOptions extends StoreOptions {
  /** The image appears here whole or not at all; what an interrupted call left beside it is continued. */
  readonly output: string;
  /** Bytes; 64 GiB unless given. */
  readonly maxImageSize?: number;
  readonly threads?: number;
  /** Bytes of the blob. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * The image and its hash tree, checked against the claimed root hash and diff ID.
 *
 * @throws LayerError
 */
export async function fetchVerityImage(
  store: ImageStore,
  image: Pick<PublishedImage, 'rootHash' | 'diffId' | 'transport'>,
  options: FetchImageOptions,
): Promise<DownloadedImage> {
  const { transport, rootHash } = image;
  const { output, maxImageSize, threads, signal, onProgress } = options;
  using download = openDownload({
    output,
    rootHash,
    blob: sha256Only(transport.digest),
    diffId: sha256Only(image.diffId),
    ...(maxImageSize !== undefined && { maxImageSize }),
    ...(threads !== undefined && { threads }),
  });
  let done = download.position;
  for await (const chunk of store.blob(transport, { offset: done, signal })) {
    download.write(chunk);
    done += chunk.length;
    onProgress?.(done, transport.size);
  }
  return download.finish();
}

/** @throws LayerError `digest`: the layer format knows SHA-256 only. */
export function sha256Only(digest: Digest): `sha256:${string}` {
  if (isSha256(digest)) return digest;
  throw new LayerError('digest', `${digest}: layers are named by SHA-256 here`);
}

function isSha256(digest: string): digest is `sha256:${string}` {
  return digest.startsWith('sha256:');
}
