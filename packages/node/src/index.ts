export { NodeError } from './error.ts';
export type { NodeErrorCode } from './error.ts';
export { buildNodeExecutable } from './executable/build.ts';
export type { BuildNodeExecutableOptions, NodeExecutable } from './executable/build.ts';
