export { loadDefinition, parseDefinition } from './load.ts';
export type { LoadedDefinition, ParseDefinitionOptions } from './load.ts';
export { definitionJsonSchema } from './schema.ts';
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
