export { openImage } from './open-image.ts';
export type { OpenedImage } from './open-image.ts';
export { readBlob, readImages } from './images.ts';
export type { ImageLayer, ImageSet, PlatformImage, ReadImagesOptions } from './images.ts';
