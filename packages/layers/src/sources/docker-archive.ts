/**
 * What `docker save` wrote before it wrote OCI layouts (moby image specification 1.2, "Combined Image JSON +
 * Filesystem Changeset Format"), read as a store: its images get the manifest they would have in a registry.
 */

import { FormatError } from '@osguard/formats/bytes';
import {
  digestOfBytes,
  encodeManifest,
  Fields,
  formatReference,
  isDigest,
  largestDocument,
  mediaTypes,
  parseDocument,
  parseImageConfig,
  parseReference,
} from '@osguard/formats/oci';
import type { Descriptor, Digest } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import { checkedManifest } from '../registry/registry-store.ts';
import type { BlobOptions, ImageStore, StoredManifest } from '../registry/store.ts';
import type { ImageFiles } from './files.ts';
import { readOnly } from './layout-store.ts';
import { verified } from './verified.ts';

interface ArchivedImage {
  readonly names: readonly string[];
  readonly stored: StoredManifest;
}

export class DockerArchive implements ImageStore {
  readonly kind = 'archive';
  readonly name: string;
  readonly #files: ImageFiles;
  readonly #images: readonly ArchivedImage[];
  readonly #blobs: ReadonlyMap<Digest, string>;

  constructor(
    files: ImageFiles,
    {
      images,
      blobs,
    }: { readonly images: readonly ArchivedImage[]; readonly blobs: ReadonlyMap<Digest, string> },
  ) {
    this.name = `docker-archive:${files.path}`;
    this.#files = files;
    this.#images = images;
    this.#blobs = blobs;
  }

  async manifest(which: string): Promise<StoredManifest> {
    const found = this.#images.find(({ names, stored }) =>
      isDigest(which) ? stored.descriptor.digest === which : names.some((name) => isNamed(name, which)),
    );
    const only = which === 'latest' && this.#images.length === 1 ? this.#images[0] : undefined;
    const image = found ?? only;
    if (image !== undefined) return Promise.resolve(image.stored);
    throw new LayerError('not-found', `${this.name}: no image named ${which}`, {
      hint: `it has ${(await this.tags()).join(', ') || 'no named image'}`,
    });
  }

  async has({ digest }: Descriptor): Promise<boolean> {
    return Promise.resolve(this.#blobs.has(digest));
  }

  async *blob(
    descriptor: Descriptor,
    { offset = 0 }: BlobOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const name = this.#blobs.get(descriptor.digest);
    if (name === undefined) throw new LayerError('not-found', `${this.name}: has no ${descriptor.digest}`);
    const chunks = this.#files.stream(name, offset);
    yield* offset === 0 ? verified(chunks, descriptor, this.name) : chunks;
  }

  async pushBlob(): Promise<never> {
    return Promise.reject(readOnly(this.name));
  }

  async pushManifest(): Promise<never> {
    return Promise.reject(readOnly(this.name));
  }

  async referrers(): Promise<readonly Descriptor[]> {
    return Promise.resolve([]);
  }

  async tags(): Promise<readonly string[]> {
    return Promise.resolve(this.#images.flatMap(({ names }) => names));
  }

  async close(): Promise<void> {
    return Promise.resolve();
  }
}

/** @throws LayerError `registry` */
export async function readDockerArchive(files: ImageFiles): Promise<DockerArchive> {
  const where = `${files.path}: manifest.json`;
  const blobs = new Map<Digest, string>();
  try {
    const text = await files.read('manifest.json', largestDocument);
    // The document is an array: wrapped, so that the one strict reader of objects can read it.
    const wrapped = Buffer.concat([Buffer.from('{"images":'), text, Buffer.from('}')]);
    const entries = new Fields(parseDocument(wrapped, where), where).list('images', 1000);
    const images: ArchivedImage[] = [];
    for (const entry of entries) images.push(await readImage(new Fields(entry, where), { files, blobs }));
    return new DockerArchive(files, { images, blobs });
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new LayerError('registry', `${where}: ${cause.message}`, { cause });
  }
}

async function readImage(
  entry: Fields,
  { files, blobs }: { readonly files: ImageFiles; readonly blobs: Map<Digest, string> },
): Promise<ArchivedImage> {
  const configName = entry.text('Config', 1024);
  const configBytes = await files.read(configName, largestDocument);
  const config: Descriptor = {
    mediaType: mediaTypes.dockerConfig,
    digest: digestOfBytes(configBytes),
    size: configBytes.length,
  };
  blobs.set(config.digest, configName);
  const { diffIds } = parseImageConfig(configBytes);
  const layerNames = entry.texts('Layers', 1024);
  if (layerNames.length !== diffIds.length) {
    throw new FormatError('malformed', `${layerNames.length} layers, but ${diffIds.length} diff IDs`);
  }
  const layers: Descriptor[] = [];
  for (const [index, name] of layerNames.entries()) {
    const digest = diffIds[index];
    const size = await files.size(name);
    if (digest === undefined || size === undefined) throw new FormatError('malformed', `${name} is missing`);
    blobs.set(digest, name);
    layers.push({ mediaType: mediaTypes.dockerLayer, digest, size });
  }
  const bytes = encodeManifest({
    kind: 'manifest',
    mediaType: mediaTypes.dockerManifest,
    config,
    layers,
    annotations: new Map(),
  });
  const stored = checkedManifest(bytes, { digest: digestOfBytes(bytes), where: files.path });
  return { names: entry.texts('RepoTags', 1000), stored };
}

/** `app:1` names `docker.io/library/app:1`, and so does the tag alone. */
function isNamed(name: string, which: string): boolean {
  return name === which || name.endsWith(`:${which}`) || sameReference(name, which);
}

function sameReference(a: string, b: string): boolean {
  try {
    return formatReference(parseReference(a)) === formatReference(parseReference(b));
  } catch {
    return false;
  }
}
