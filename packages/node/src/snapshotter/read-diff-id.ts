/** Which layer a verity image is, in its own words (docs/layer-format.md, "Layer header"): the signed root hash covers them. */

import { parseLayerHeader } from '@osguard/formats/layer';
import { SnapshotterError } from './error.ts';

/** @param start the first 4096 bytes of the image. @returns `sha256:…`. @throws SnapshotterError `layer-mismatch`. */
export function readDiffId(start: Uint8Array): string {
  try {
    return parseLayerHeader(start).diffId;
  } catch (cause) {
    throw new SnapshotterError('layer-mismatch', 'the volume is not the image of a layer', { cause });
  }
}
