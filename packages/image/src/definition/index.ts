export { loadDefinition, parseDefinition } from './load.ts';
export type { LoadedDefinition, ParseDefinitionOptions } from './load.ts';
export { definitionJsonSchema } from './schema.ts';
export { readDocument } from './document.ts';
export type { Located, ReadDocument } from './document.ts';
export { explainIssue } from './explain.ts';
export type { SchemaNode } from './explain.ts';
export type {
  Definition,
  DefinitionFile,
  DefinitionGroup,
  DefinitionUser,
  DiskFormat,
  DiskSizes,
  Distribution,
  LayerSigner,
  NamedException,
} from './types.ts';
export { refusedKernelArgument, refusedPath, refusedSysctl } from './forbidden.ts';
