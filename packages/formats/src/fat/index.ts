export { parseBootSector } from './boot-sector.ts';
export type { FatGeometry, FatType } from './boot-sector.ts';
export { readFat } from './read.ts';
export type { FatNode, FatVolume } from './read.ts';
export { writeFat } from './write.ts';
export type { FatFile } from './tree.ts';
export type { FatImage, WriteFatOptions } from './write.ts';
