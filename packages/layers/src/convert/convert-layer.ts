/** An OCI layer to a verity image, in one pass over its bytes: docs/layer-format.md. */

import type { ConvertedLayer, ConvertLayerOptions } from './types.ts';

/**
 * @param source the layer's blob, compressed or not, in pieces of any size.
 * @throws LayerError; system errors and AbortError pass through. Nothing is left behind.
 */
export async function convertLayer(
  source: AsyncIterable<Uint8Array>,
  options: ConvertLayerOptions,
): Promise<ConvertedLayer> {
  throw new Error(`not there yet: ${options.output} ${typeof source}`);
}
