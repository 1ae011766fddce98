export { MachineError } from './error.ts';
export type { MachineErrorCode } from './error.ts';
export type { MachineEvent, MachineSink } from './events.ts';
export type { Command } from './process/run.ts';
export { cacheFolder, existingTree, openTools } from './tools/open.ts';
export type { ToolOrigin, Tools, ToolsOptions } from './tools/open.ts';
export { findMirrors, networkSettings, readAptFacts } from './tools/mirror.ts';
export type { AptFacts, DebianMirrors, Mirror } from './tools/mirror.ts';
export type { ToolSetName } from './tools/table.ts';
