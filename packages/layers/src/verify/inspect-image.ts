/** What is published about an image and its layers, without judging any of it. */

import { FormatError } from '@osguard/formats/bytes';
import { parseSignedData } from '@osguard/formats/cms';
import type { Digest } from '@osguard/formats/oci';
import type { Keyring } from '@osguard/keys';
import { LayerError } from '../error.ts';
import { readImages } from '../sources/images.ts';
import type { OpenedImage } from '../sources/open-image.ts';
import { findSignatures } from './find-signatures.ts';
import type { FoundSignature } from './find-signatures.ts';

export interface InspectedSignature {
  readonly layout: FoundSignature['layout'];
  readonly artifact: Digest;
  readonly rootHash: string;
  /** Bytes. */
  readonly size: number;
  /** Name of the certificate when it is inside or in the trust folder, else its serial number. */
  readonly signer: string;
}

export interface InspectedLayer {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly mediaType: string;
  /** Bytes, as transported. */
  readonly size: number;
  readonly signatures: readonly InspectedSignature[];
  readonly images: readonly { readonly artifact: Digest; readonly rootHash: string; readonly size: number }[];
}

export interface InspectReport {
  readonly name: string;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly tags: readonly string[];
  readonly passedOver: number;
  readonly images: readonly {
    readonly platform: string;
    readonly digest: Digest;
    readonly layers: readonly InspectedLayer[];
    readonly unreadable: readonly { readonly artifact: Digest; readonly why: string }[];
  }[];
}

export interface InspectImageOptions {
  readonly platform?: string | undefined;
  /** Gives names to signers. */
  readonly trust?: Keyring;
  readonly signal?: AbortSignal | undefined;
}

/** @throws LayerError */
export async function inspectImage(
  opened: OpenedImage,
  options: InspectImageOptions = {},
): Promise<InspectReport> {
  const { store } = opened;
  const { signal } = options;
  const set = await readImages(store, opened.digest ?? opened.tag ?? 'latest', options);
  const images: InspectReport['images'][number][] = [];
  for (const image of set.images) {
    const found = await findSignatures(store, image, { tag: opened.tag, signal });
    const layers = image.layers.map(({ descriptor, diffId }): InspectedLayer => ({
      digest: descriptor.digest,
      diffId,
      mediaType: descriptor.mediaType,
      size: descriptor.size,
      signatures: found.signatures
        .filter(({ layerDigest }) => layerDigest === descriptor.digest)
        .map(({ layout, artifact, rootHash, message }) => ({
          layout,
          artifact,
          rootHash,
          size: message.length,
          signer: signerOf(message, options.trust),
        })),
      images: (found.images.get(descriptor.digest) ?? []).map(({ artifact, rootHash, transport }) => ({
        artifact,
        rootHash,
        size: transport.size,
      })),
    }));
    images.push({
      platform: image.platform,
      digest: image.descriptor.digest,
      layers,
      unreadable: found.unreadable,
    });
  }
  const { digest, mediaType } = set.descriptor;
  return {
    name: opened.name,
    digest,
    mediaType,
    tags: await tagsOf(opened, signal),
    passedOver: set.passedOver,
    images,
  };
}

function signerOf(message: Uint8Array, trust: Keyring | undefined): string {
  try {
    const { signers, certificates } = parseSignedData(message);
    const signer = signers[0]?.signer;
    if (signer?.kind !== 'issuer') return 'named by its key';
    const known = [...certificates, ...(trust?.entries.map(({ certificate }) => certificate) ?? [])];
    const serial = Buffer.from(signer.serial).toString('hex');
    const own = known.find((each) => Buffer.from(each.serial).toString('hex') === serial);
    return own?.subjectText ?? `certificate number ${serial}`;
  } catch (error) {
    if (error instanceof FormatError) return `unreadable: ${error.message}`;
    throw error;
  }
}

/** Some registries let nobody list tags: what else is known is still worth showing. */
async function tagsOf({ store }: OpenedImage, signal: AbortSignal | undefined): Promise<readonly string[]> {
  try {
    return await store.tags({ signal });
  } catch (error) {
    if (error instanceof LayerError) return [];
    throw error;
  }
}
