export { pruneTree } from './prune.ts';
export type { PruneOptions, PruneReport, RemovedByRule, SetIdProgram } from './prune.ts';
export { findBroken } from './references.ts';
export type { BrokenReference } from './references.ts';
export { pruneRules } from './rules.ts';
export type { PruneRule } from './rules.ts';
