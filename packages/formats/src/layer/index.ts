export { diffIdBytes, encodeLayerHeader, layerHeaderSize, parseLayerHeader } from './header.ts';
export type { DiffId, LayerHeader } from './header.ts';
