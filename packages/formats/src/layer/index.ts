export { diffIdBytes, encodeLayerHeader, layerHeaderSize, parseLayerHeader } from './header.ts';
export type { DiffId, LayerHeader } from './header.ts';
export {
  chunkIndexFrameSize,
  chunkIndexHeadSize,
  chunkIndexSize,
  encodeChunkIndex,
  largestChunk,
  largestFrame,
  parseChunkIndex,
  smallestChunk,
} from './chunk-index.ts';
export type { ChunkIndex, TransportChunk } from './chunk-index.ts';
export {
  encodeLayerRevocations,
  largestRevocations,
  layerRevocationsType,
  parseLayerRevocations,
} from './revocations.ts';
export type { LayerRevocations, RevokedRootHash, RevokedSigner } from './revocations.ts';
