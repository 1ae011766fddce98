/**
 * "Unpacking" a layer: nothing is unpacked. The published verity image of the layer is fetched (or made from the layer
 * when nobody published one), the kernel verifies its signature while opening it, and the snapshot remembers it.
 */

import { readdir, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDiskFull, SnapshotterError } from './error.ts';
import type { LayerFinder, LayerRequest } from './find-layer.ts';
import type { LayerStore } from './layer-store.ts';
import type { Layer } from './model.ts';
import { SharedWork } from './shared-work.ts';
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
  readonly #fetches = new SharedWork<Layer>();

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
      const layer = await this.#fetches.run(request.layer.digest, {
        work: (signal) =>
          this.#fetch(request, { signal, fits: (diffId) => snapshots.fits(snapshot, diffId) }),
        signal: request.signal,
      });
      if (await layers.attach(layer, snapshot.id)) return layer;
    }
    throw new SnapshotterError('precondition', `snapshot ${snapshot.key} went while it was unpacked`);
  }

  async #fetch(
    { layer, namespace }: ApplyRequest,
    { signal, fits }: { readonly signal: AbortSignal; readonly fits: (diffId: string) => boolean },
  ): Promise<Layer> {
    const { layers, finder } = this.#options;
    // By the layer's name, so that an interrupted download goes on.
    const output = join(layers.incoming, `${layer.digest.replace(/[^0-9a-z]/g, '-')}.erofs`);
    const request: LayerRequest = { ...layer, namespace, output, fits, signal };
    try {
      return await layers.add(await finder.find(request));
    } catch (cause) {
      if (!isDiskFull(cause)) throw cause;
      await giveBack(output);
      throw new SnapshotterError(
        'disk-full',
        `no space left for layer ${layer.digest}: ${await left(output)}`,
        {
          hint: 'remove images with: ctr images rm --sync, or give /var more room; then pull again',
          cause,
        },
      );
    } finally {
      await rm(output, { force: true });
    }
  }
}

/** Fetching it again costs less than a disk that stays full. */
async function giveBack(output: string): Promise<void> {
  const folder = dirname(output);
  for (const name of await readdir(folder)) {
    if (name.includes(basename(output))) await rm(join(folder, name), { force: true });
  }
}

async function left(output: string): Promise<string> {
  const folder = dirname(output);
  // Root may have the reserve too.
  const { bfree, bsize } = await statfs(folder);
  return `${Math.floor((bfree * bsize) / 1024 ** 2)} MiB are free at ${folder} without what was fetched of it`;
}
