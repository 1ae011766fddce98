export { loadDefinition, parseDefinition } from './load.ts';
export type { LoadedDefinition, ParseDefinitionOptions } from './load.ts';
export { definitionJsonSchema } from './schema.ts';
export { mistakesIn, placed, readChecked } from './checked.ts';
export type { Checked, TextFinding, WrittenText } from './checked.ts';
export type { Located } from './document.ts';
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
