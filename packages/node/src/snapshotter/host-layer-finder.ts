/**
 * How the host finds a layer: what was published beside it, in the registry it was pulled from or in a layout brought by
 * hand; else the layer itself, converted here, with the signature of its image. Nothing found here is trusted.
 */

import type { BlobInfo, ContentStore } from '../containerd/content.ts';
import { openContentStore } from '../containerd/content.ts';
import { SnapshotterError } from './error.ts';
import type { LayerFinder, LayerRequest } from './find-layer.ts';
import type { IncomingLayer } from './layer-store.ts';

export interface HostLayerFinderOptions {
  /** containerd's socket. */
  readonly containerd: string;
  /** An OCI image layout that need not be there. */
  readonly layout: string;
  /** A docker configuration with credentials that need not be there. */
  readonly credentials: string;
  /** Registries that may be reached without TLS. */
  readonly insecure: readonly string[];
  readonly audit: boolean;
  readonly log: (message: string) => void;
}

export class HostLayerFinder implements LayerFinder {
  readonly #options: HostLayerFinderOptions;

  constructor(options: HostLayerFinderOptions) {
    this.#options = options;
  }

  async find(request: LayerRequest): Promise<IncomingLayer> {
    const content = openContentStore(this.#options.containerd, request.namespace);
    const info = await content.info(request.digest);
    throw new SnapshotterError(
      'layer-unsigned',
      `layer ${request.digest} is not signed: looked in ${places(info).join(', ') || 'no registry'}`,
    );
  }
}

function places(info: BlobInfo): readonly string[] {
  return Object.entries(info.labels)
    .filter(([name]) => name.startsWith(sourceLabel))
    .flatMap(([name, repositories]) =>
      repositories.split(',').map((repository) => `${name.slice(sourceLabel.length)}/${repository}`),
    );
}

/** containerd notes there where a blob came from: host in the name, repositories in the value. */
const sourceLabel = 'containerd.distribution.source.';

export type { ContentStore };
