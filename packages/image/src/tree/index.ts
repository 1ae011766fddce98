export { RootTree, TreeError } from './root-tree.ts';
export type { TreeEntry } from './root-tree.ts';
export { bodySize, bytesBody, makeNode, typeNames } from './node.ts';
export type { Body, NewNode, NodeType, RootNode } from './node.ts';
export { BodyReader } from './bodies.ts';
export { describeTree, treeDigest } from './digest.ts';
export { treeArchive } from './archive.ts';
export type { TreeArchiveOptions } from './archive.ts';
