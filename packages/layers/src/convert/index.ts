/** Conversion by itself: who only converts does not load registries and signatures. */

export { convertLayer } from './convert-layer.ts';
export type {
  ConvertedLayer,
  ConvertLayerOptions,
  DroppedXattr,
  LayerCompression,
  LayerLimits,
  LayerSource,
} from './types.ts';
export { ImageCheck } from './image-check.ts';
export type { CheckedImage, ImageCheckOptions } from './image-check.ts';
