/** Where a layer's verity image and signatures come from. */

import type { IncomingLayer } from './layer-store.ts';

export interface LayerRequest {
  /** Of the layer as the image's manifest names it: `sha256:…`. */
  readonly digest: string;
  readonly mediaType: string;
  /** Bytes of the (compressed) layer. */
  readonly size: number;
  /** containerd's. */
  readonly namespace: string;
  /** Where the image is to be written. */
  readonly output: string;
  /** Whether the snapshot it is for can be made of a layer of this diff ID; absent when that is not known. */
  readonly fits?: ((diffId: string) => boolean) | undefined;
  readonly signal?: AbortSignal;
}

export interface LayerFinder {
  /** @throws SnapshotterError `layer-unsigned`, `layer-unavailable`, `layer-mismatch`. */
  find(request: LayerRequest): Promise<IncomingLayer>;
}
