export {
  isIndexType,
  isManifestType,
  layerCompression,
  manifestMediaTypes,
  mediaTypes,
} from './media-types.ts';
export type { LayerCompression } from './media-types.ts';
export {
  assertDigest,
  digestAlgorithm,
  digestHex,
  digestOfBytes,
  finishDigest,
  hashFor,
  isDigest,
  parseDigest,
} from './digest.ts';
export type { Digest } from './digest.ts';
export { largestDocument, parseDocument } from './json.ts';
export type { JsonObject } from './json.ts';
export { Fields } from './fields.ts';
export { decodeBase64, formatPlatform, parseDescriptor, parseMediaType } from './descriptor.ts';
export type { Descriptor, Platform } from './descriptor.ts';
export { artifactTypeOf, encodeManifest, parseManifest } from './manifest.ts';
export type { ImageIndex, ImageManifest, Manifest, ParseManifestOptions } from './manifest.ts';
export { parseImageConfig } from './image-config.ts';
export type { ImageConfig } from './image-config.ts';
export {
  formatReference,
  isRepository,
  isTag,
  parseReference,
  referrersTag,
  subjectOfReferrersTag,
} from './reference.ts';
export type { Reference } from './reference.ts';
export { nextLink, parseChallenges, parseContentRange } from './http-fields.ts';
export type { Challenge, ContentRange } from './http-fields.ts';
export {
  readLayerSignatures,
  rootHashSignatureType,
  signatureAnnotations,
  signatureArtifactTypes,
  signatureLayout,
} from './layer-signatures.ts';
export type { LayerSignature, LayerSignatureOptions, SignatureLayout } from './layer-signatures.ts';
