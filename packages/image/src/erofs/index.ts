export { writeErofsImage } from './write-image.ts';
export type {
  ImageEntry,
  ImageFile,
  ImageFileBody,
  ImageHardLink,
  WriteErofsOptions,
} from './write-image.ts';
