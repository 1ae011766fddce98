export { ErofsWriter } from './writer.ts';
export type {
  ErofsFileEntry,
  ErofsFileWriter,
  ErofsFill,
  ErofsMetadata,
  ErofsOtherEntry,
  ErofsSummary,
  ErofsWriterOptions,
} from './writer.ts';
export type { ErofsSink } from './output.ts';
export { memoryTailStore } from './tails.ts';
export type { TailStore } from './tails.ts';
export type { ErofsType } from './layout.ts';
