/** All signatures published for the layers of an image, in every layout, wherever they are. */

import { FormatError } from '@osguard/formats/bytes';
import { readLayerSignatures, signatureArtifactTypes } from '@osguard/formats/oci';
import type { Digest, LayerSignature, SignatureLayout } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import type { ImageStore, StoreOptions } from '../registry/store.ts';
import { findVerityImages } from '../sign/published.ts';
import type { PublishedImage } from '../sign/published.ts';
import { readBlob } from '../sources/images.ts';
import type { PlatformImage } from '../sources/images.ts';

export interface FoundSignature {
  /** `verity-image`: beside the published image of the layer. */
  readonly layout: SignatureLayout | 'verity-image';
  /** The manifest it is in. */
  readonly artifact: Digest;
  readonly layerDigest: Digest;
  /** The root hash it is said to be of. */
  readonly rootHash: string;
  /** PKCS #7, DER. */
  readonly message: Uint8Array;
}

export interface FoundSignatures {
  readonly signatures: readonly FoundSignature[];
  readonly images: ReadonlyMap<Digest, readonly PublishedImage[]>;
  /** Artifacts that could not be read, and why. */
  readonly unreadable: readonly { readonly artifact: Digest; readonly why: string }[];
}

const mostArtifacts = 256;

/** @throws LayerError when the store cannot be read. */
export async function findSignatures(
  store: ImageStore,
  image: Pick<PlatformImage, 'descriptor' | 'layers'>,
  { signal }: StoreOptions = {},
): Promise<FoundSignatures> {
  const signatures: FoundSignature[] = [];
  const unreadable: { artifact: Digest; why: string }[] = [];
  const types: ReadonlySet<string | undefined> = new Set(Object.values(signatureArtifactTypes));
  const referrers = await store.referrers(image.descriptor.digest, { signal });
  for (const { digest } of referrers
    .filter(({ artifactType }) => types.has(artifactType))
    .slice(0, mostArtifacts)) {
    try {
      signatures.push(...(await readManifest(store, { digest, subject: image.descriptor.digest, signal })));
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      unreadable.push({ artifact: digest, why: error.message });
    }
  }
  const images = new Map<Digest, readonly PublishedImage[]>();
  for (const { descriptor } of image.layers) {
    if (images.has(descriptor.digest)) continue;
    const published = await findVerityImages(store, descriptor.digest, { signal });
    images.set(descriptor.digest, published);
    for (const { artifact, rootHash, signatures: messages } of published) {
      for (const message of messages) {
        signatures.push({
          layout: 'verity-image',
          artifact,
          layerDigest: descriptor.digest,
          rootHash,
          message,
        });
      }
    }
  }
  return { signatures, images, unreadable };
}

async function readManifest(
  store: ImageStore,
  {
    digest,
    subject,
    signal,
  }: { readonly digest: Digest; readonly subject: Digest; readonly signal: AbortSignal | undefined },
): Promise<readonly FoundSignature[]> {
  const { manifest } = await store.manifest(digest, { signal });
  if (manifest.kind !== 'manifest')
    throw new FormatError('malformed', 'signatures: an index, not a manifest');
  const found: FoundSignature[] = [];
  for (const each of readLayerSignatures(manifest, { subject })) {
    const { layout, layerDigest, rootHash } = each;
    found.push({
      layout,
      artifact: digest,
      layerDigest,
      rootHash,
      message: await messageOf(store, each, signal),
    });
  }
  return found;
}

async function messageOf(
  store: ImageStore,
  { blob, embedded }: LayerSignature,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  return embedded ?? (await readBlob(store, blob, { most: 64 * 1024, signal }));
}

function isUnreadable(error: unknown): error is Error {
  const broken = error instanceof LayerError && ['not-found', 'registry', 'digest'].includes(error.code);
  return broken || error instanceof FormatError;
}
