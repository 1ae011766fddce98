/**
 * Signatures of layers' dm-verity root hashes, as three projects publish them: as referrers of an image (or of one
 * layer) whose manifest says which layer and which root hash each PKCS #7 message belongs to.
 *
 * - `notation`: notaryproject/notation, specs/proposals/dm-verity.md; what osguard writes.
 * - `acl`: the patches of Azure Container Linux; the signature is also in an annotation.
 * - `tardev`: the tardev snapshotter; the signature is in an annotation, the blob is the same again.
 *
 * Nothing here says that a signature is good: annotations are anybody's claims.
 */

import { FormatError } from '../bytes/index.ts';
import type { Descriptor } from './descriptor.ts';
import { decodeBase64 } from './descriptor.ts';
import type { Digest } from './digest.ts';
import { parseDigest } from './digest.ts';
import type { ImageManifest } from './manifest.ts';

export type SignatureLayout = 'notation' | 'acl' | 'tardev';

export const signatureArtifactTypes: Readonly<Record<SignatureLayout, string>> = {
  notation: 'application/vnd.cncf.notary.signature.dm-verity',
  acl: 'application/vnd.cncf.notary.dmverity.v1',
  tardev: 'application/vnd.oci.mt.pkcs7',
};

/** Media type of a root hash signature in the layout `notation`. */
export const rootHashSignatureType = 'application/pkcs7-signature';

export const signatureAnnotations = {
  layerDigest: 'io.cncf.notary.layer.digest',
  rootHash: 'io.cncf.notary.dm-verity.root-hash',
  /** On the manifest, `true`. */
  marker: 'io.cncf.notary.dm-verity.signature',
  title: 'org.opencontainers.image.title',
} as const;

export interface LayerSignature {
  readonly layout: SignatureLayout;
  /** The layer as it is transported (compressed). */
  readonly layerDigest: Digest;
  /** 64 lower-case hex digits. */
  readonly rootHash: string;
  /** The blob with the PKCS #7 message, DER. */
  readonly blob: Descriptor;
  /** The message itself, when the manifest holds it. */
  readonly embedded?: Uint8Array;
}

interface Shape {
  readonly blobTypes: readonly string[];
  readonly layerDigest: string;
  readonly rootHash: string;
  readonly embedded?: string;
}

const shapes: Readonly<Record<SignatureLayout, Shape>> = {
  notation: {
    blobTypes: [rootHashSignatureType],
    layerDigest: signatureAnnotations.layerDigest,
    rootHash: signatureAnnotations.rootHash,
  },
  acl: {
    blobTypes: ['application/vnd.cncf.notary.dmverity.layer-signature+pkcs7'],
    layerDigest: 'io.cncf.notary.dmverity.layer-digest',
    rootHash: 'io.cncf.notary.dmverity.layer-roothash',
    embedded: 'io.cncf.notary.dmverity.layer-signature',
  },
  tardev: {
    blobTypes: ['application/vnd.oci.image.layer.v1.erofs.sig'],
    layerDigest: 'image.layer.digest',
    rootHash: 'image.layer.root_hash',
    embedded: 'image.layer.signature',
  },
};

/** Blobs that the layout `acl` may carry beside its signatures: prebuilt images, which osguard does not use. */
const passedOver: ReadonlySet<string> = new Set([
  'application/vnd.cncf.containerd.erofs.layer.v1',
  'application/vnd.cncf.dmverity.merkle-tree.v1',
]);

/** Bytes; RSA 4096 with a chain inside is far below. */
const largestSignature = 64 * 1024;

/** Which layout a manifest is in; undefined for other artifacts. */
export function signatureLayout(manifest: ImageManifest): SignatureLayout | undefined {
  const type = manifest.artifactType ?? manifest.config.mediaType;
  for (const layout of ['notation', 'acl', 'tardev'] as const) {
    if (signatureArtifactTypes[layout] === type) return layout;
  }
  return undefined;
}

export interface LayerSignatureOptions {
  /** What the manifest must be about. */
  readonly subject: Digest;
}

/**
 * In the order of the manifest.
 *
 * @throws FormatError when the manifest is about something else, names a layer twice, or lacks what its layout wants.
 */
export function readLayerSignatures(
  manifest: ImageManifest,
  { subject }: LayerSignatureOptions,
): readonly LayerSignature[] {
  const layout = signatureLayout(manifest);
  if (layout === undefined) throw new FormatError('not-this-format', 'signatures: no known artifact type');
  if (manifest.subject?.digest !== subject) {
    throw new FormatError(
      'malformed',
      `signatures: about ${manifest.subject?.digest ?? 'nothing'}, expected ${subject}`,
    );
  }
  const signatures = manifest.layers
    .filter(({ mediaType }) => layout !== 'acl' || !passedOver.has(mediaType))
    .map((blob, index) => readOne(blob, { layout, where: `signatures: layers[${index}]` }));
  const seen = new Set<Digest>();
  for (const { layerDigest } of signatures) {
    if (seen.has(layerDigest)) throw new FormatError('malformed', `signatures: ${layerDigest} twice`);
    seen.add(layerDigest);
  }
  return signatures;
}

function readOne(
  blob: Descriptor,
  { layout, where }: { readonly layout: SignatureLayout; readonly where: string },
): LayerSignature {
  const shape = shapes[layout];
  if (!shape.blobTypes.includes(blob.mediaType)) {
    throw new FormatError('unsupported', `${where}: a blob of type ${blob.mediaType}`);
  }
  if (blob.size === 0 || blob.size > largestSignature) {
    throw new FormatError('too-large', `${where}: a signature of ${blob.size} bytes`);
  }
  const rootHash = need(blob, shape.rootHash, where);
  if (!/^[0-9a-f]{64}$/.test(rootHash)) {
    throw new FormatError('malformed', `${where}: ${shape.rootHash} is not 64 lower-case hex digits`);
  }
  const layerDigest = parseDigest(need(blob, shape.layerDigest, where), `${where}: ${shape.layerDigest}`);
  const text = shape.embedded === undefined ? undefined : blob.annotations?.get(shape.embedded);
  const embedded = text === undefined ? undefined : decodeBase64(text, `${where}: ${shape.embedded}`);
  return { layout, layerDigest, rootHash, blob, ...(embedded !== undefined && { embedded }) };
}

function need(blob: Descriptor, name: string, where: string): string {
  const value = blob.annotations?.get(name);
  if (value === undefined) throw new FormatError('malformed', `${where}: no annotation ${name}`);
  return value;
}
