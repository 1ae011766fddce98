export { writePairImage } from './pair-image.ts';
export type { PairImage, PairImageOptions } from './pair-image.ts';
export { PairHost, snapshotters } from './pair-host.ts';
export type { ReadFiles, Snapshotter } from './pair-host.ts';
