/** The snapshotter for whoever starts it elsewhere than on a host: measurements and tests. */

export { SnapshotterError } from './error.ts';
export type { Layer } from './model.ts';
export { startSnapshotter } from './start.ts';
export type { Snapshotter, SnapshotterOptions } from './start.ts';
export type { LayerFiles, Volumes } from './volumes.ts';
export { mountedFolders } from './volumes.ts';
