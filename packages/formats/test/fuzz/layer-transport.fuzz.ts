import {
  encodeChunkIndex,
  encodeLayerHeader,
  parseChunkIndex,
  parseLayerHeader,
} from '@osguard/formats/layer';
import { equalBytes, FormatError } from '@osguard/formats/bytes';
import { parseRootHash } from '@osguard/formats/verity';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const diffId = `sha256:${'cd'.repeat(32)}` as const;
const digest = new Uint8Array(32);

function sameAgain(parsed: Uint8Array, again: Uint8Array): void {
  if (!equalBytes(parsed, again)) throw new Error('what was parsed is written differently');
}

export const target: FuzzTarget = defineFuzz({
  name: 'layer-transport',
  seeds: () => [
    encodeLayerHeader({ version: 1, tarSize: 12_345, diffId }),
    encodeChunkIndex({
      chunkSize: 65_536,
      imageSize: 200_704,
      dataSize: 192_512,
      rootHash: parseRootHash('ab'.repeat(32)),
      diffId,
      chunks: [1, 70, 65_536, 900].map((frameSize) => ({
        frameSize,
        frameDigest: digest,
        chunkDigest: digest,
      })),
    }),
  ],
  run(bytes) {
    try {
      sameAgain(bytes.subarray(0, 1024), encodeLayerHeader(parseLayerHeader(bytes)));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      sameAgain(bytes, encodeChunkIndex(parseChunkIndex(bytes)));
    }
  },
});
