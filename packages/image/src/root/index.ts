export { fetchRootTree } from './fetch-root-tree.ts';
export type { FetchRootTreeOptions } from './fetch-root-tree.ts';
export { runInNamespace } from './namespace.ts';
export type { NamespaceJob, NamespaceStage } from './namespace-job.ts';
export { loadTree } from './load-tree.ts';
export { readPackageRecords } from './package-records.ts';
export type { PackageRecord, PackageRecords } from './package-records.ts';
