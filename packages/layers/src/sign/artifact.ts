/**
 * What `osguard layers sign` publishes, as OCI manifests without clock or randomness: the same layers and key always
 * give the same digests.
 *
 * - The verity artifact refers to one *layer*: the transport form of its verity image and the signature of its root
 *   hash, so that a node which knows only the layer's digest finds all of it with one look-up.
 * - The signature manifest refers to one image manifest, in the layout of notation's dm-verity proposal.
 * - The tag record refers to what a tag pointed at when it was signed. It is not signed and proves nothing: it only
 *   lets `verify` say that a tag moved instead of that signatures are missing.
 */

import { FormatError } from '@osguard/formats/bytes';
import {
  digestOfBytes,
  encodeManifest,
  mediaTypes,
  parseDigest,
  rootHashSignatureType,
  signatureAnnotations,
  signatureArtifactTypes,
} from '@osguard/formats/oci';
import type { Descriptor, Digest, ImageManifest } from '@osguard/formats/oci';
import { parseRootHash } from '@osguard/formats/verity';
import type { RootHash } from '@osguard/formats/verity';
import { verityLayerMediaType } from '../transport/media-type.ts';

export const diffIdAnnotation = 'org.osguard.layer.diff-id';
/** On the manifest, so that the list of referrers has it: the first signature in base64. A hint which to read first. */
export const signatureAnnotation = 'org.osguard.layer.signature';
export const tagRecordType = 'application/vnd.osguard.signed-tag.v1';
const refName = 'org.opencontainers.image.ref.name';

export const emptyConfig: Descriptor & { readonly data: Uint8Array } = {
  mediaType: mediaTypes.ociEmpty,
  digest: digestOfBytes(Buffer.from('{}')),
  size: 2,
  data: Uint8Array.from(Buffer.from('{}')),
};

export interface VerityArtifact {
  /** The layer it is of, as the image transports it. */
  readonly layer: Descriptor;
  readonly diffId: Digest;
  readonly rootHash: RootHash;
  /** The verity image, media type {@link verityLayerMediaType}. */
  readonly transport: Descriptor;
  /** PKCS #7 messages over the root hash. */
  readonly signatures: readonly Descriptor[];
}

/** What a verity artifact says of itself in the list of referrers. */
export interface ArtifactClaim {
  readonly rootHash: string;
  readonly diffId: string;
  /** PKCS #7, DER; artifacts of older versions do not show it. */
  readonly signature: Uint8Array | undefined;
}

export interface SignedLayer {
  readonly layer: Descriptor;
  readonly rootHash: RootHash;
  readonly signature: Descriptor;
}

function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function encodeArtifact(
  artifactType: string,
  parts: Pick<ImageManifest, 'layers' | 'annotations'> & { readonly subject: Descriptor },
): Uint8Array<ArrayBuffer> {
  return encodeManifest({
    kind: 'manifest',
    mediaType: mediaTypes.ociManifest,
    artifactType,
    config: emptyConfig,
    layers: parts.layers,
    subject: bare(parts.subject),
    annotations: parts.annotations,
  });
}

/** @param options.message the first of the signatures. */
export function encodeVerityArtifact(
  artifact: VerityArtifact,
  { message }: { readonly message?: Uint8Array } = {},
): Uint8Array<ArrayBuffer> {
  const { layer, rootHash, diffId, transport, signatures } = artifact;
  const annotations = new Map<string, string>([
    [signatureAnnotations.layerDigest, layer.digest],
    [signatureAnnotations.rootHash, rootHash],
    [diffIdAnnotation, diffId],
  ]);
  return encodeArtifact(verityLayerMediaType, {
    subject: layer,
    layers: [transport, ...signatures].map((each) => ({ ...bare(each), annotations })),
    annotations:
      message === undefined
        ? annotations
        : new Map([...annotations, [signatureAnnotation, Buffer.from(message).toString('base64')]]),
  });
}

export function claimOf({ annotations }: Pick<Descriptor, 'annotations'>): ArtifactClaim {
  const signature = annotations?.get(signatureAnnotation);
  return {
    rootHash: annotations?.get(signatureAnnotations.rootHash) ?? '',
    diffId: annotations?.get(diffIdAnnotation) ?? '',
    signature: signature === undefined ? undefined : Uint8Array.from(Buffer.from(signature, 'base64')),
  };
}

/** @throws FormatError unless `manifest` is a verity artifact of the layer `subject`. */
export function parseVerityArtifact(manifest: ImageManifest, subject: Digest): VerityArtifact {
  const { annotations, subject: layer } = manifest;
  if (manifest.artifactType !== verityLayerMediaType || layer === undefined) {
    throw new FormatError('not-this-format', 'verity artifact: of another type');
  }
  if (layer.digest !== subject || annotations.get(signatureAnnotations.layerDigest) !== subject) {
    throw new FormatError('malformed', `verity artifact: not of the layer ${subject}`);
  }
  const rootHash = annotations.get(signatureAnnotations.rootHash) ?? '';
  if (!/^[0-9a-f]{64}$/.test(rootHash)) throw new FormatError('malformed', 'verity artifact: no root hash');
  const transports = manifest.layers.filter(({ mediaType }) => mediaType === verityLayerMediaType);
  const signatures = manifest.layers.filter(({ mediaType }) => mediaType === rootHashSignatureType);
  const [transport] = transports;
  if (transport === undefined || transports.length + signatures.length !== manifest.layers.length) {
    throw new FormatError('malformed', 'verity artifact: expected one image and its signatures');
  }
  if (manifest.layers.some((each) => each.annotations?.get(signatureAnnotations.rootHash) !== rootHash)) {
    throw new FormatError('malformed', 'verity artifact: parts of different root hashes');
  }
  if (signatures.length > 16 || signatures.some(({ size }) => size === 0 || size > 64 * 1024)) {
    throw new FormatError('too-large', 'verity artifact: signatures too many or too large');
  }
  return {
    layer,
    transport,
    signatures,
    diffId: parseDigest(annotations.get(diffIdAnnotation) ?? '', 'verity artifact: diff ID'),
    rootHash: parseRootHash(rootHash),
  };
}

/** A layer that occurs twice in an image is listed once. */
export function encodeSignatureManifest(
  image: Descriptor,
  layers: readonly SignedLayer[],
): Uint8Array<ArrayBuffer> {
  const seen = new Map(layers.map((each) => [each.layer.digest, each]));
  return encodeArtifact(signatureArtifactTypes.notation, {
    subject: image,
    layers: [...seen.values()].map(({ layer, rootHash, signature }, index) => ({
      ...bare(signature),
      annotations: new Map<string, string>([
        [signatureAnnotations.layerDigest, layer.digest],
        [signatureAnnotations.rootHash, rootHash],
        [signatureAnnotations.title, `layer-${index}.pkcs7.sig`],
      ]),
    })),
    annotations: new Map([[signatureAnnotations.marker, 'true']]),
  });
}

/** Undefined for tags too long to have a record. */
export function tagRecordName(tag: string): string | undefined {
  const name = `${tag}.osguard-signed`;
  return name.length <= 128 ? name : undefined;
}

export function encodeTagRecord(image: Descriptor, tag: string): Uint8Array<ArrayBuffer> {
  const { data: _, ...empty } = emptyConfig;
  return encodeArtifact(tagRecordType, {
    subject: image,
    layers: [empty],
    annotations: new Map([[refName, tag]]),
  });
}
