export { convertLayer } from './convert/convert-layer.ts';
export type {
  ConvertedLayer,
  ConvertLayerOptions,
  DroppedXattr,
  LayerCompression,
  LayerLimits,
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
