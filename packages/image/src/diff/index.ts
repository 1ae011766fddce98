export { diffImages } from './diff-images.ts';
export type { DiffOptions } from './diff-images.ts';
export type { DiffEntry, FieldDiff, ImageDiff, PartDiff, PartId } from './report.ts';
