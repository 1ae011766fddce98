/**
 * "Unpacking" a layer: nothing is unpacked. The published verity image of the layer is fetched (or made from the layer
 * when nobody published one), the kernel verifies its signature while opening it, and the snapshot remembers it.
 */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SnapshotterError } from './error.ts';
import type { LayerFinder, LayerRequest } from './find-layer.ts';
import type { LayerStore } from './layer-store.ts';
import type { Layer } from './model.ts';
import type { SnapshotMount, Snapshots } from './snapshots.ts';

export interface ApplyRequest {
  readonly layer: { readonly digest: string; readonly mediaType: string; readonly size: number };
  readonly mounts: readonly SnapshotMount[];
  /** containerd's namespace, in which the content store keeps the layer. */
  readonly namespace: string;
  readonly signal?: AbortSignal;
}

export interface UnpackerOptions {
  readonly snapshots: Snapshots;
  readonly layers: LayerStore;
  readonly finder: LayerFinder;
}

/** Images that share a layer come and go at the same time. */
const mostTries = 16;

export class Unpacker {
  readonly #options: UnpackerOptions;
  readonly #running = new Map<string, Promise<Layer>>();

  constructor(options: UnpackerOptions) {
    this.#options = options;
  }

  /**
   * @returns diff ID and size of what was applied; containerd compares the diff ID with the image's configuration.
   * @throws SnapshotterError `not-implemented` when the mounts are another snapshotter's.
   */
  async apply(request: ApplyRequest): Promise<Layer> {
    const { snapshots, layers } = this.#options;
    const snapshot = snapshots.unpackingInto(request.mounts);
    if (snapshot === undefined) {
      throw new SnapshotterError('not-implemented', 'these mounts belong to another snapshotter');
    }
    for (let tries = 0; tries < mostTries; tries += 1) {
      const layer = await this.#obtain(request);
      if (await layers.attach(layer, snapshot.id)) return layer;
    }
    throw new SnapshotterError('precondition', `snapshot ${snapshot.key} went while it was unpacked`);
  }

  /** The same layer asked for twice at once is fetched once. */
  #obtain(request: ApplyRequest): Promise<Layer> {
    const key = request.layer.digest;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const work = this.#fetch(request).finally(() => this.#running.delete(key));
    this.#running.set(key, work);
    return work;
  }

  async #fetch({ layer, namespace, signal }: ApplyRequest): Promise<Layer> {
    const { layers, finder } = this.#options;
    // By the layer's name, so that an interrupted download goes on.
    const output = join(layers.incoming, `${layer.digest.replace(/[^0-9a-z]/g, '-')}.erofs`);
    const request: LayerRequest = { ...layer, namespace, output, ...(signal && { signal }) };
    try {
      return await layers.add(await finder.find(request));
    } finally {
      await rm(output, { force: true });
    }
  }
}
