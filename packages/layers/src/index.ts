export { convertLayer } from './convert/convert-layer.ts';
export type {
  ConvertedLayer,
  ConvertLayerOptions,
  DroppedXattr,
  LayerCompression,
  LayerLimits,
} from './convert/types.ts';
export { LayerError } from './error.ts';
export type { LayerErrorCode } from './error.ts';
export type { DiffId } from '@osguard/formats/layer';
