/** An OCI image layout (image-spec 1.1, image-layout.md) as a store; in a folder it can be written to. */

import {
  digestAlgorithm,
  digestHex,
  digestOfBytes,
  encodeManifest,
  isDigest,
  largestDocument,
  mediaTypes,
  parseManifest,
  referrersTag,
} from '@osguard/formats/oci';
import type { Descriptor, Digest, ImageIndex } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import { referrerEntry } from '../registry/referrers.ts';
import { checkedManifest } from '../registry/registry-store.ts';
import type {
  BlobOptions,
  ImageStore,
  OpenContent,
  PushManifestOptions,
  ReferrersOptions,
  StoredManifest,
} from '../registry/store.ts';
import type { ImageFiles } from './files.ts';
import { verified } from './verified.ts';

const refName = 'org.opencontainers.image.ref.name';
const containerdName = 'io.containerd.image.name';
const mostKnown = 4096;

export class LayoutStore implements ImageStore {
  readonly kind: 'layout' | 'archive';
  readonly name: string;
  readonly #files: ImageFiles;
  /** Read before: what has a digest does not change. */
  readonly #known = new Map<Digest, StoredManifest>();

  constructor(files: ImageFiles, name?: string) {
    this.#files = files;
    this.kind = files.write === undefined ? 'archive' : 'layout';
    this.name = name ?? (files.write === undefined ? `oci-archive:${files.path}` : `oci:${files.path}`);
  }

  async manifest(which: string): Promise<StoredManifest> {
    const listed = isDigest(which) ? undefined : await this.#tagged(which);
    const digest = isDigest(which) ? which : listed?.digest;
    if (digest === undefined) {
      throw new LayerError('not-found', `${this.name}: no image named ${which}`, {
        hint: `it has ${(await this.tags()).join(', ') || 'no named image'}`,
      });
    }
    const known = this.#known.get(digest);
    if (known !== undefined) return known;
    const bytes = await this.#files.read(blobName(digest), largestDocument);
    const stored = checkedManifest(bytes, {
      digest,
      where: this.name,
      ...(listed !== undefined && { type: listed.mediaType }),
    });
    if (this.#known.size < mostKnown) this.#known.set(digest, stored);
    return stored;
  }

  async has({ digest }: Descriptor): Promise<boolean> {
    return (await this.#files.size(blobName(digest))) !== undefined;
  }

  async *blob(
    descriptor: Descriptor,
    { offset = 0 }: BlobOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const name = blobName(descriptor.digest);
    if ((await this.#files.size(name)) === undefined) {
      throw new LayerError('not-found', `${this.name}: has no ${descriptor.digest}`);
    }
    const chunks = this.#files.stream(name, offset);
    yield* offset === 0 ? verified(chunks, descriptor, this.name) : chunks;
  }

  async pushBlob(descriptor: Descriptor, open: OpenContent): Promise<'exists' | 'pushed'> {
    if (await this.has(descriptor)) return 'exists';
    await this.#write(blobName(descriptor.digest), verified(open(0), descriptor, this.name));
    return 'pushed';
  }

  async pushManifest(bytes: Uint8Array, { mediaType, tag }: PushManifestOptions): Promise<Descriptor> {
    const digest = digestOfBytes(bytes);
    const manifest = parseManifest(bytes, { mediaType });
    await this.#write(blobName(digest), one(bytes));
    const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
    const index = await this.#index();
    const others = index.manifests.filter(
      (each) =>
        !(each.digest === digest && nameOf(each) === undefined) &&
        (tag === undefined || nameOf(each) !== tag),
    );
    const entry: Descriptor =
      tag === undefined
        ? referrerEntry(descriptor, manifest)
        : { ...descriptor, annotations: new Map([[refName, tag]]) };
    const known = tag === undefined && others.some((each) => each.digest === digest);
    await this.#writeIndex({ ...index, manifests: known ? others : [...others, entry] });
    return descriptor;
  }

  async referrers(subject: Digest, { artifactType }: ReferrersOptions = {}): Promise<readonly Descriptor[]> {
    const found: Descriptor[] = [];
    for (const listed of await this.#listed(subject)) {
      const { descriptor, manifest } = await this.manifest(listed.digest);
      if (manifest.subject?.digest !== subject) continue;
      const entry = referrerEntry(descriptor, manifest);
      if (artifactType !== undefined && entry.artifactType !== artifactType) continue;
      if (!found.some(({ digest }) => digest === entry.digest)) found.push(entry);
    }
    return found;
  }

  async tags(): Promise<readonly string[]> {
    const { manifests } = await this.#index();
    return manifests.map(nameOf).filter((name) => name !== undefined);
  }

  async close(): Promise<void> {
    return Promise.resolve();
  }

  /** What may refer to something: everything the index lists, and the fallback tag's own list (as skopeo copies it). */
  async #listed(subject: Digest): Promise<readonly Descriptor[]> {
    const { manifests } = await this.#index();
    const fallback = manifests.find((each) => nameOf(each) === referrersTag(subject));
    const nested = fallback === undefined ? undefined : (await this.manifest(fallback.digest)).manifest;
    return [...manifests, ...(nested?.kind === 'index' ? nested.manifests : [])].filter(
      ({ mediaType }) => mediaType === mediaTypes.ociManifest || mediaType === mediaTypes.ociIndex,
    );
  }

  /** By its whole name, by the tag of its whole name, or the only one there is. */
  async #tagged(which: string): Promise<Descriptor | undefined> {
    const { manifests } = await this.#index();
    const named = manifests.filter((each) => nameOf(each) !== undefined);
    const whole = named.find((each) => nameOf(each) === which);
    const byTag = named.filter((each) => fullNameOf(each)?.endsWith(`:${which}`) === true);
    const images = manifests.filter((each) => each.artifactType === undefined);
    if (whole !== undefined) return whole;
    if (byTag.length === 1) return byTag[0];
    return which === 'latest' && images.length === 1 ? images[0] : undefined;
  }

  async #index(): Promise<ImageIndex> {
    if ((await this.#files.size('index.json')) === undefined) {
      if (this.#files.write !== undefined) return emptyIndex;
      throw new LayerError('not-found', `${this.name}: no index.json, so no OCI layout`);
    }
    const bytes = await this.#files.read('index.json', largestDocument);
    const { manifest } = checkedManifest(bytes, {
      digest: digestOfBytes(bytes),
      where: `${this.name}: index.json`,
    });
    if (manifest.kind === 'index') return manifest;
    throw new LayerError('registry', `${this.name}: index.json is no index`);
  }

  async #writeIndex(index: ImageIndex): Promise<void> {
    await this.#write('oci-layout', one(Buffer.from('{"imageLayoutVersion":"1.0.0"}')));
    await this.#write('index.json', one(encodeManifest(index)));
  }

  async #write(name: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#files.write === undefined) throw readOnly(this.name);
    await this.#files.write(name, chunks);
  }
}

const emptyIndex: ImageIndex = {
  kind: 'index',
  mediaType: mediaTypes.ociIndex,
  manifests: [],
  annotations: new Map(),
};

export function readOnly(name: string): LayerError {
  return new LayerError('read-only', `${name}: archives are only read`, {
    hint: 'osguard layers copy takes the image into a registry or an OCI layout',
  });
}

function blobName(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

function nameOf({ annotations }: Descriptor): string | undefined {
  return annotations?.get(refName) ?? annotations?.get(containerdName);
}

function fullNameOf({ annotations }: Descriptor): string | undefined {
  return annotations?.get(containerdName) ?? annotations?.get(refName);
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(bytes);
}
