export { formatVerity } from './format.ts';
export type { FormattedVerity, FormatVerityOptions } from './format.ts';
export { verifyVerity } from './verify.ts';
export type { BareTree, VerifyVerityOptions, VerityVerdict } from './verify.ts';
export type { BadBlock } from './tree-walk.ts';
export type { VerityArea } from './area.ts';
export type { LevelHelper, VerityWorkOptions } from './run-level.ts';
export { createTreeBuilder } from './tree-builder.ts';
export type { BuiltTree, TreeBuilder, TreeBuilderOptions } from './tree-builder.ts';
