export { convertLayer } from './convert/convert-layer.ts';
export type {
  ConvertedLayer,
  ConvertLayerOptions,
  DroppedXattr,
  LayerCompression,
  LayerLimits,
  LayerSource,
} from './convert/types.ts';
export { ImageCheck } from './convert/image-check.ts';
export type { CheckedImage, ImageCheckOptions } from './convert/image-check.ts';
export { encodeTransport } from './transport/encode.ts';
export type { EncodedTransport, EncodeTransportOptions } from './transport/encode.ts';
export { openDownload } from './transport/download.ts';
export type { DownloadedImage, DownloadOptions, TransportDownload } from './transport/download.ts';
export { verityLayerMediaType } from './transport/media-type.ts';
export { LayerError } from './error.ts';
export type { LayerErrorCode } from './error.ts';
export type { DiffId } from '@osguard/formats/layer';
export { openRegistry } from './registry/open-registry.ts';
export type { RegistryOptions } from './registry/open-registry.ts';
export { findCredentials } from './registry/credentials.ts';
export type { CredentialOptions, Credentials } from './registry/credentials.ts';
export { Secret } from './registry/secret.ts';
export type {
  BlobOptions,
  ImageStore,
  OpenContent,
  PushBlobOptions,
  PushManifestOptions,
  ReferrersOptions,
  StoredManifest,
  StoreOptions,
} from './registry/store.ts';
export { openImage, openLayout, openTarget } from './sources/open-image.ts';
export type { OpenedImage } from './sources/open-image.ts';
export { readBlob, readImages } from './sources/images.ts';
export type { ImageLayer, ImageSet, PlatformImage, ReadImagesOptions } from './sources/images.ts';
export { fetchVerityImage, findVerityImages, largestVerityImage, verityImages } from './sign/published.ts';
export type { FetchImageOptions, FindImagesOptions, PublishedImage } from './sign/published.ts';
export type { ArtifactClaim } from './sign/artifact.ts';
export { findSignatures } from './verify/find-signatures.ts';
export type { FoundSignature, FoundSignatures } from './verify/find-signatures.ts';
export { copyImage } from './copy/copy-image.ts';
export type { CopyImageOptions, CopyReport } from './copy/copy-image.ts';
export { signImage } from './sign/sign-image.ts';
export type { SignedLayerReport, SignImageOptions, SignReport } from './sign/sign-image.ts';
export { verifyImage } from './verify/verify-image.ts';
export type { LayerCheck, VerifiedLayer, VerifyImageOptions, VerifyReport } from './verify/verify-image.ts';
export { isNamed } from './verify/signature-verdict.ts';
export type { RefusalReason } from './verify/signature-verdict.ts';
export { inspectImage } from './verify/inspect-image.ts';
export type {
  InspectedLayer,
  InspectedSignature,
  InspectImageOptions,
  InspectReport,
} from './verify/inspect-image.ts';
export { checkImage } from './check/check-image.ts';
export type { CheckedPlatform, CheckImageOptions, CheckReport } from './check/check-image.ts';
export type { Finding, FindingId, FindingLevel } from './check/finding.ts';
