/** All signatures published for the layers of an image, in every layout, wherever they are. */

import { FormatError } from '@osguard/formats/bytes';
import { isTag, readLayerSignatures, signatureArtifactTypes } from '@osguard/formats/oci';
import type { Digest, LayerSignature, SignatureLayout } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import { inParallel } from '../registry/in-parallel.ts';
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

export interface FindSignaturesOptions extends StoreOptions {
  /** The tag the image was found by: tardev keeps signatures under tags made from it. */
  readonly tag?: string | undefined;
}

/** Bytes of artifacts and signatures that are read for one image: anybody who may push can add some. */
const mostRead = 64 * 1024 * 1024;
const largestSignature = 64 * 1024;
const mostTardevTags = 64;

/** @throws LayerError when the store cannot be read. */
export async function findSignatures(
  store: ImageStore,
  image: Pick<PlatformImage, 'descriptor' | 'layers'>,
  { tag, signal }: FindSignaturesOptions = {},
): Promise<FoundSignatures> {
  const signatures: FoundSignature[] = [];
  const unreadable: { artifact: Digest; why: string }[] = [];
  const types: ReadonlySet<string | undefined> = new Set(Object.values(signatureArtifactTypes));
  const subject = image.descriptor.digest;
  const referrers = await store.referrers(subject, { signal });
  const artifacts = referrers.filter(({ artifactType }) => types.has(artifactType));
  const tagged = tag === undefined ? [] : await tardevManifests(store, { tag, subject, signal });
  let read = 0;
  for (const digest of new Set([...artifacts.map((each) => each.digest), ...tagged])) {
    if (read > mostRead) throw new LayerError('registry', `${store.name}: too many signatures of ${subject}`);
    try {
      const { found, size } = await readManifest(store, { digest, subject, signal });
      signatures.push(...found);
      read += size;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      unreadable.push({ artifact: digest, why: error.message });
    }
  }
  const layers = new Set(image.layers.map(({ descriptor }) => descriptor.digest));
  const found = await inParallel(layers, async (digest) => {
    const published = await findVerityImages(store, digest, { signal });
    return [digest, published] as const;
  });
  const images = new Map<Digest, readonly PublishedImage[]>(found);
  for (const [layerDigest, published] of found) {
    for (const { artifact, rootHash, signatures: messages } of published) {
      for (const message of messages) {
        signatures.push({ layout: 'verity-image', artifact, layerDigest, rootHash, message });
      }
    }
  }
  return { signatures, images, unreadable };
}

/** Manifests under `<tag>.tardev.sig-<n>` that are about this image: for registries without referrers. */
async function tardevManifests(
  store: ImageStore,
  {
    tag,
    subject,
    signal,
  }: { readonly tag: string; readonly subject: Digest; readonly signal: AbortSignal | undefined },
): Promise<readonly Digest[]> {
  const found: Digest[] = [];
  // Counting begins at 0 or 1, and ends where the next number is missing.
  for (let number = 0; number < mostTardevTags; number += 1) {
    const name = `${tag}.tardev.sig-${number}`;
    if (!isTag(name)) break;
    try {
      const { manifest, descriptor } = await store.manifest(name, { signal });
      if (manifest.subject?.digest === subject) found.push(descriptor.digest);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      if (number > 0) break;
    }
  }
  return found;
}

async function readManifest(
  store: ImageStore,
  {
    digest,
    subject,
    signal,
  }: { readonly digest: Digest; readonly subject: Digest; readonly signal: AbortSignal | undefined },
): Promise<{ readonly found: readonly FoundSignature[]; readonly size: number }> {
  const { manifest, descriptor } = await store.manifest(digest, { signal });
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
  return { found, size: found.reduce((sum, { message }) => sum + message.length, descriptor.size) };
}

async function messageOf(
  store: ImageStore,
  { blob, embedded }: LayerSignature,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  return embedded ?? (await readBlob(store, blob, { most: largestSignature, signal }));
}

function isUnreadable(error: unknown): error is Error {
  const broken = error instanceof LayerError && ['not-found', 'registry', 'digest'].includes(error.code);
  return broken || error instanceof FormatError;
}
