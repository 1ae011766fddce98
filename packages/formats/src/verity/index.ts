export { verityAlgorithms, verityDigestSize } from './algorithm.ts';
export { describeVerity, verityTableLine } from './describe.ts';
export type { VerityTableOptions } from './describe.ts';
export { isVerityBlockSize, verityGeometry, verityMaxBlockSize, veritySuperblockSize } from './geometry.ts';
export type { VerityGeometry, VerityHashType, VerityLevel, VerityParameters } from './geometry.ts';
export { parseRootHash, rootHashOf, rootHashPartitionIds } from './root-hash.ts';
export type { RootHash, RootHashPartitionIds } from './root-hash.ts';
export {
  checkVeritySalt,
  encodeVeritySuperblock,
  parseVeritySuperblock,
  verityMaxSaltSize,
} from './superblock.ts';
export type { VeritySuperblock } from './superblock.ts';
export { digestPosition, formatVerityTree, hashVerityLevels } from './tree.ts';
export type { HashLevelsOptions, VerityBlockHash, VerityTree } from './tree.ts';
