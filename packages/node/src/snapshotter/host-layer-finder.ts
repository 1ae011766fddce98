/**
 * How the host finds a layer: what was published beside it, in the registry it was pulled from or in a layout brought by
 * hand; else the layer itself, converted here, with the signatures of its image. Nothing found here is trusted: the kernel
 * verifies what comes of it.
 */

import { existsSync } from 'node:fs';
import type { ArtifactClaim, FoundSignature, ImageStore, RegistryOptions } from '@osguard/layers';
import {
  convertLayer,
  fetchVerityImage,
  findCredentials,
  findSignatures,
  largestVerityImage,
  LayerError,
  openImage,
  openRegistry,
  verityImages,
} from '@osguard/layers';
import { isDigest } from '@osguard/formats/oci';
import type { Digest } from '@osguard/formats/oci';
import type { BlobInfo, ContentStore } from '../containerd/content.ts';
import { openContentStore } from '../containerd/content.ts';
import { SnapshotterError } from './error.ts';
import type { LayerFinder, LayerRequest } from './find-layer.ts';
import type { IncomingLayer } from './layer-store.ts';
import { sourcesOf } from './sources.ts';

export interface HostLayerFinderOptions {
  /** containerd's socket. */
  readonly containerd: string;
  /** An OCI image layout that need not be there. */
  readonly layout: string;
  /** A docker configuration with credentials that need not be there. */
  readonly credentials: string;
  /** Hosts with a port: containerd notes only the name of the host a layer came from. */
  readonly registries: () => readonly string[];
  /** Registries that may be reached without TLS. */
  readonly insecure: readonly string[];
  readonly audit: boolean;
  /** Why a signature does not count here; undefined when it does. */
  readonly refusal: (rootHash: string, signature: Uint8Array) => SnapshotterError | undefined;
  readonly log: (message: string) => void;
}

export class HostLayerFinder implements LayerFinder {
  readonly #options: HostLayerFinderOptions;

  constructor(options: HostLayerFinderOptions) {
    this.#options = options;
  }

  async find(request: LayerRequest): Promise<IncomingLayer> {
    const { digest } = request;
    if (!isDigest(digest)) throw new SnapshotterError('bad-request', `${digest} is no digest`);
    const content = openContentStore(this.#options.containerd, request.namespace);
    const info = await content.info(digest);
    const search = new Search(request, { digest, content, options: this.#options });
    for (const open of this.#stores(info)) {
      const found = await search.in(open);
      if (found !== undefined) return found;
    }
    return search.end();
  }

  /** Each opened when its turn comes. */
  *#stores(info: BlobInfo): Generator<OpenStore> {
    const { layout, registries, insecure, credentials } = this.#options;
    if (existsSync(layout)) {
      yield { name: layout, open: async () => (await openImage(`oci:${layout}`)).store };
    }
    const options: RegistryOptions = {
      insecure,
      credentials: (where) => findCredentials(where, { files: [credentials], env: {} }),
    };
    for (const source of sourcesOf(info.labels, registries())) {
      const name = `${source.registry}/${source.repository}`;
      yield { name, open: () => openRegistry(source, options) };
    }
  }
}

interface OpenStore {
  readonly name: string;
  readonly open: () => Promise<ImageStore>;
}

interface SearchInputs {
  readonly digest: Digest;
  readonly content: ContentStore;
  readonly options: HostLayerFinderOptions;
}

/** Times the largest image of the layer: what is downloaded in vain before a store is given up. */
const mostWasted = 4;
/** Bytes of names and attributes in memory, of 512 MiB that the service has. */
const mostMetadata = 128 * 1024 * 1024;

/** One layer looked for in one place after the other. */
class Search {
  readonly #request: LayerRequest;
  readonly #inputs: SearchInputs;
  readonly #looked: string[] = [];
  readonly #failures: string[] = [];
  #refusal: SnapshotterError | undefined;
  /** Bytes of blobs that were not what they should be. */
  #wasted = 0;

  constructor(request: LayerRequest, inputs: SearchInputs) {
    this.#request = request;
    this.#inputs = inputs;
  }

  async in({ name, open }: OpenStore): Promise<IncomingLayer | undefined> {
    let store: ImageStore | undefined;
    try {
      store = await open();
      return (await this.#published(store)) ?? (await this.#signed(store));
    } catch (error) {
      if (!(error instanceof LayerError)) throw error;
      // `ctr --user` and pull secrets are containerd's alone.
      const hint = error.code === 'unauthorized' ? ' (hosts get them as the secret registry.json)' : '';
      this.#failures.push(`${name}: ${error.message}${hint}`);
      return undefined;
    } finally {
      this.#looked.push(name);
      await store?.close();
    }
  }

  /** Nothing was found. In mode audit the layer is taken as it is; else this says why there is no container. */
  async end(): Promise<IncomingLayer> {
    const { digest, options } = this.#inputs;
    if (options.audit) return this.#convert([]);
    const refusal = this.#refusal;
    if (this.#failures.length > 0) {
      const why = [...this.#failures, ...(refusal === undefined ? [] : [refusal.message])].join('; ');
      throw new SnapshotterError(
        'layer-unavailable',
        `no signed image of layer ${digest} could be fetched: ${why}`,
      );
    }
    if (refusal !== undefined) throw refusal;
    const where =
      this.#looked.length === 0 ? 'nowhere, for it came from no registry' : this.#looked.join(', ');
    throw new SnapshotterError('layer-unsigned', `layer ${digest} is not signed (looked in: ${where})`, {
      hint: 'sign it with: osguard layers sign',
    });
  }

  /** What the signer built: fetched, not made anew. Only what is signed for this host is worth it. */
  async #published(store: ImageStore): Promise<IncomingLayer | undefined> {
    const { signal, output } = this.#request;
    const { digest, options } = this.#inputs;
    const maxImageSize = largestVerityImage(this.#request);
    const tried = new Set<string>();
    const isLikely = (claim: ArtifactClaim): boolean => this.#isLikely(claim);
    for await (const image of verityImages(store, digest, { signal, isLikely })) {
      const signatures = this.#accepted(image.rootHash, image.signatures);
      if (signatures.length === 0 && !(options.audit && image.signatures.length === 0)) continue;
      const { transport, rootHash, diffId } = image;
      // The same once more is no better.
      const name = `${transport.digest} ${rootHash} ${diffId}`;
      if (tried.has(name)) continue;
      tried.add(name);
      try {
        const fetched = await fetchVerityImage(store, image, { output, signal, threads: 1, maxImageSize });
        const { size, hashOffset } = fetched;
        return { image: output, rootHash, diffId, size, hashOffset, signatures };
      } catch (error) {
        if (!(error instanceof LayerError)) throw error;
        // Whoever may push can publish rubbish; another one may be good.
        this.#failures.push(`${store.name}, artifact ${image.artifact}: ${error.message}`);
        this.#wasted += transport.size;
        if (this.#wasted > mostWasted * maxImageSize) return undefined;
      }
    }
    return undefined;
  }

  /** As far as the list of artifacts tells: a signature that counts, of an image of the right layer. */
  #isLikely({ rootHash, diffId, signature }: ArtifactClaim): boolean {
    const { fits } = this.#request;
    if (signature === undefined || fits?.(diffId) === false) return false;
    return this.#inputs.options.refusal(rootHash, signature) === undefined;
  }

  /** Those of them that count; why others do not is told when nothing else is found. */
  #accepted(rootHash: string, signatures: readonly Uint8Array[]): readonly Uint8Array[] {
    return signatures.filter((signature) => {
      const refusal = this.#inputs.options.refusal(rootHash, signature);
      // What was good once says more than what anybody could have pushed.
      if (this.#refusal === undefined || refusal?.code === 'layer-revoked') this.#refusal = refusal;
      return refusal === undefined;
    });
  }

  /** Only signatures are there: the image is made here, and must be the one they are of. */
  async #signed(store: ImageStore): Promise<IncomingLayer | undefined> {
    const { digest, content } = this.#inputs;
    const { signal } = this.#request;
    const found: FoundSignature[] = [];
    for (const manifest of await manifestsOf(digest, content)) {
      const { signatures } = await findSignatures(
        store,
        { descriptor: { mediaType: '', digest: manifest, size: 0 }, layers: [] },
        { signal },
      );
      const own = signatures.filter(({ layerDigest }) => layerDigest === digest);
      // Converting is work: it is done for a signature that counts.
      found.push(...own.filter(({ rootHash, message }) => this.#accepted(rootHash, [message]).length > 0));
    }
    return found.length === 0 ? undefined : this.#convert(found);
  }

  async #convert(found: readonly FoundSignature[]): Promise<IncomingLayer> {
    const { digest, content } = this.#inputs;
    const { output, mediaType, size: sourceSize, signal } = this.#request;
    const made = await convertLayer(content.read(digest, signal === undefined ? {} : { signal }), {
      output,
      mediaType,
      sourceSize,
      threads: 1,
      limits: { maxTarSize: largestVerityImage(this.#request), maxMetadata: mostMetadata },
      ...(signal && { signal }),
    });
    const { rootHash, diffId, size, hashOffset } = made;
    const signatures = found.filter((each) => each.rootHash === rootHash).map(({ message }) => message);
    if (found.length > 0 && signatures.length === 0) {
      throw new SnapshotterError(
        'layer-mismatch',
        `layer ${digest} has root hash ${rootHash}, but the signatures of its image are of ${found
          .map((each) => each.rootHash)
          .join(', ')}`,
      );
    }
    return { image: output, rootHash, diffId, size, hashOffset, signatures };
  }
}

/** Manifests in the content store that list the layer: containerd labels them with what they refer to. */
async function manifestsOf(layer: Digest, content: ContentStore): Promise<readonly Digest[]> {
  const found: Digest[] = [];
  for (const { digest, labels } of await content.list([])) {
    const refers = Object.entries(labels).some(
      ([name, value]) => name.startsWith('containerd.io/gc.ref.content.l.') && value === layer,
    );
    if (refers && isDigest(digest)) found.push(digest);
  }
  return found;
}
