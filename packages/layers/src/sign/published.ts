/** Verity images somebody published: finding them by the layer they are of, and fetching one. */

import { FormatError } from '@osguard/formats/bytes';
import type { Descriptor, Digest } from '@osguard/formats/oci';
import type { RootHash } from '@osguard/formats/verity';
import { LayerError } from '../error.ts';
import type { ImageStore, StoreOptions } from '../registry/store.ts';
import { readBlob } from '../sources/images.ts';
import { openDownload } from '../transport/download.ts';
import type { DownloadedImage } from '../transport/download.ts';
import { verityLayerMediaType } from '../transport/media-type.ts';
import { parseVerityArtifact } from './artifact.ts';

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

const mostArtifacts = 64;

/**
 * Every verity image published for a layer, in the order of the store; none is an empty list. Artifacts that are not
 * what they should be are passed over: anybody who may push can add one, and must not be able to hide the others.
 *
 * @throws LayerError when the store cannot be read.
 */
export async function findVerityImages(
  store: ImageStore,
  layerDigest: Digest,
  { signal }: StoreOptions = {},
): Promise<readonly PublishedImage[]> {
  const referrers = await store.referrers(layerDigest, { artifactType: verityLayerMediaType, signal });
  const found: PublishedImage[] = [];
  for (const { digest } of referrers.slice(0, mostArtifacts)) {
    const image = await readPublished(store, { digest, layerDigest, signal });
    if (image !== undefined) found.push(image);
  }
  return found;
}

async function readPublished(
  store: ImageStore,
  {
    digest,
    layerDigest,
    signal,
  }: { readonly digest: Digest; readonly layerDigest: Digest; readonly signal: AbortSignal | undefined },
): Promise<PublishedImage | undefined> {
  try {
    const { manifest } = await store.manifest(digest, { signal });
    if (manifest.kind !== 'manifest') return undefined;
    const { rootHash, diffId, transport, signatures } = parseVerityArtifact(manifest, layerDigest);
    const messages: Uint8Array[] = [];
    for (const each of signatures) messages.push(await readBlob(store, each, { most: 64 * 1024, signal }));
    return { artifact: digest, layerDigest, rootHash, diffId, transport, signatures: messages };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    // The referrers list can be newer than what it lists, or older.
    if (error instanceof LayerError && ['not-found', 'registry', 'digest'].includes(error.code))
      return undefined;
    throw error;
  }
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
