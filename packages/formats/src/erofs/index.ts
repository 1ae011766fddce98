export { ErofsWriter } from './writer.ts';
export type {
  ErofsFileEntry,
  ErofsFileWriter,
  ErofsFill,
  ErofsMetadata,
  ErofsOtherEntry,
  ErofsProbe,
  ErofsSummary,
  ErofsWriterOptions,
} from './writer.ts';
export type { ErofsDirectSink, ErofsSink } from './output.ts';
export { memoryTailStore } from './tails.ts';
export type { TailStore } from './tails.ts';
export type { ErofsType } from './layout.ts';
export { ErofsImage, readErofs } from './reader.ts';
export type { ErofsExtent, ErofsLimits, ErofsNode, ErofsWalkEntry } from './reader.ts';
export type { ParsedEntry as ErofsDirectoryEntry } from './directory.ts';
export type { ErofsSuperblock } from './superblock.ts';
export type { DeviceNumber } from './inode.ts';
export { sortByName } from './names.ts';
