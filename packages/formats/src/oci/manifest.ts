/**
 * Image manifests and indexes: OCI image-spec 1.1 (manifest.md, image-index.md) and Docker's schema 2.
 *
 * A document that could be both (CVE-2021-41190), or whose own media type is not the one it was fetched as, is
 * refused: its digest would vouch for two different images.
 */

import { FormatError } from '../bytes/index.ts';
import { canonicalJson } from '../json/index.ts';
import type { JsonValue } from '../json/index.ts';
import type { Descriptor } from './descriptor.ts';
import { descriptorJson, parseDescriptor, parseMediaType } from './descriptor.ts';
import { Fields } from './fields.ts';
import { parseDocument } from './json.ts';
import { isIndexType, isManifestType, mediaTypes } from './media-types.ts';

export interface ImageManifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations: ReadonlyMap<string, string>;
}

export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations: ReadonlyMap<string, string>;
}

export type Manifest = ImageManifest | ImageIndex;

/** containerd and docker stop at 127: more cannot be mounted as one overlay. */
const mostLayers = 1024;
const names = [
  'schemaVersion',
  'mediaType',
  'artifactType',
  'config',
  'layers',
  'manifests',
  'subject',
  'annotations',
  'fsLayers',
];

export interface ParseManifestOptions {
  /** What the registry or the descriptor called it. */
  readonly mediaType?: string;
}

/** @throws FormatError unless `bytes` hold exactly one manifest or index. */
export function parseManifest(bytes: Uint8Array, options: ParseManifestOptions = {}): Manifest {
  const fields = new Fields(parseDocument(bytes, 'manifest'), 'manifest');
  fields.assertSpelling(names);
  if (fields.get('schemaVersion') === 1 || fields.has('fsLayers')) {
    throw new FormatError('unsupported', 'manifest: Docker schema 1', {
      hint: 'push the image again with a tool of this decade',
    });
  }
  if (fields.get('schemaVersion') !== 2) {
    throw new FormatError('not-this-format', 'manifest: schemaVersion is not 2');
  }
  const isIndex = fields.has('manifests');
  if (isIndex && (fields.has('layers') || fields.has('config'))) {
    throw new FormatError('malformed', 'manifest: both an index and an image manifest');
  }
  if (!isIndex && !fields.has('config')) {
    throw new FormatError('not-this-format', 'manifest: neither config nor manifests');
  }
  const mediaType = agreedType(fields, { isIndex, fetchedAs: options.mediaType });
  const artifactType = fields.optionalText('artifactType', 255);
  const common = {
    mediaType,
    ...(artifactType !== undefined &&
      artifactType !== '' && { artifactType: parseMediaType(artifactType, 'manifest.artifactType') }),
    ...(fields.get('subject') !== undefined && {
      subject: parseDescriptor(fields.get('subject'), 'manifest.subject'),
    }),
    annotations: fields.textMap('annotations'),
  };
  if (isIndex) {
    const manifests = fields
      .list('manifests')
      .map((each, index) => parseDescriptor(each, `manifest.manifests[${index}]`));
    return { kind: 'index', ...common, manifests };
  }
  const layers = fields
    .list('layers', mostLayers)
    .map((each, index) => parseDescriptor(each, `manifest.layers[${index}]`));
  return {
    kind: 'manifest',
    ...common,
    config: parseDescriptor(fields.get('config'), 'manifest.config'),
    layers,
  };
}

function agreedType(
  fields: Fields,
  { isIndex, fetchedAs }: { readonly isIndex: boolean; readonly fetchedAs: string | undefined },
): string {
  const own = fields.optionalText('mediaType', 255);
  if (own !== undefined && fetchedAs !== undefined && own !== fetchedAs) {
    throw new FormatError('malformed', `manifest: says it is ${own}, but was given as ${fetchedAs}`);
  }
  const mediaType = own ?? fetchedAs ?? (isIndex ? mediaTypes.ociIndex : mediaTypes.ociManifest);
  if (isIndex ? isIndexType(mediaType) : isManifestType(mediaType)) return mediaType;
  throw new FormatError(
    'not-this-format',
    `manifest: ${JSON.stringify(mediaType.slice(0, 100))} is not the type of ${isIndex ? 'an index' : 'an image manifest'}`,
  );
}

/** Canonical JSON: the same manifest always has the same digest. */
export function encodeManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  const { mediaType, artifactType, subject, annotations } = manifest;
  const parts: { readonly [key: string]: JsonValue } =
    manifest.kind === 'index'
      ? { manifests: manifest.manifests.map(descriptorJson) }
      : { config: descriptorJson(manifest.config), layers: manifest.layers.map(descriptorJson) };
  const document = {
    schemaVersion: 2,
    mediaType,
    ...(artifactType !== undefined && { artifactType }),
    ...parts,
    ...(subject !== undefined && { subject: descriptorJson(subject) }),
    ...(annotations.size > 0 && { annotations: Object.fromEntries(annotations) }),
  };
  return new Uint8Array(Buffer.from(canonicalJson(document), 'utf8'));
}

/**
 * What a referrers list calls a manifest: its artifactType, or for older artifacts the media type of its config
 * (distribution-spec 1.1, "Listing Referrers").
 */
export function artifactTypeOf(manifest: Manifest): string | undefined {
  if (manifest.artifactType !== undefined) return manifest.artifactType;
  return manifest.kind === 'manifest' ? manifest.config.mediaType : undefined;
}
