/**
 * An image with its signatures from one store to another, for networks that do not reach the first. Every byte is
 * checked on the way, digests stay, and the tag appears last: whoever pulls by it finds the signatures there.
 */

import { step } from '@osguard/events';
import type { EventSink, StepReport } from '@osguard/events';
import { signatureArtifactTypes } from '@osguard/formats/oci';
import type { Descriptor, Digest, Manifest } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import type { ImageStore, StoredManifest } from '../registry/store.ts';
import { encodeTagRecord, tagRecordName, tagRecordType } from '../sign/artifact.ts';
import { pushArtifact } from '../sign/push-artifact.ts';
import type { OpenedImage } from '../sources/open-image.ts';
import { verityLayerMediaType } from '../transport/media-type.ts';

export interface CopyImageOptions {
  readonly sink?: EventSink;
  readonly signal?: AbortSignal | undefined;
}

export interface CopyReport {
  readonly from: string;
  readonly to: string;
  readonly digest: Digest;
  readonly manifests: number;
  /** Signature manifests and verity artifacts. */
  readonly artifacts: number;
  readonly blobs: { readonly copied: number; readonly mounted: number; readonly there: number };
  /** Of the blobs that were copied. */
  readonly bytes: number;
}

const artifactTypes: ReadonlySet<string | undefined> = new Set([
  ...Object.values(signatureArtifactTypes),
  verityLayerMediaType,
]);
const deepest = 4;

/** @throws LayerError */
export async function copyImage(
  from: OpenedImage,
  to: OpenedImage,
  { sink, signal }: CopyImageOptions = {},
): Promise<CopyReport> {
  if (to.digest !== undefined) {
    throw new LayerError('input', `${to.name}: a copy is named by a tag; its digest is that of the image`);
  }
  const copy = new Copy(from.store, to.store, signal);
  const { store } = from;
  const top = await store.manifest(from.digest ?? from.tag ?? 'latest', { signal });
  await step(sink, { id: 'copy-image', title: `copy ${from.name}` }, async (report) =>
    copy.tree(top, { report }),
  );
  await step(sink, { id: 'copy-signatures', title: 'copy its signatures' }, async (report) => {
    for (const subject of copy.subjects) await copy.referrers(subject, report);
    report.detail(`${copy.artifacts} artifacts`);
  });
  const { tag } = to;
  if (tag !== undefined) await copy.name(top, tag);
  await to.store.commit?.();
  const { manifests, artifacts, blobs, bytes } = copy;
  return { from: from.name, to: to.name, digest: top.descriptor.digest, manifests, artifacts, blobs, bytes };
}

class Copy {
  readonly subjects = new Set<Digest>();
  readonly blobs = { copied: 0, mounted: 0, there: 0 };
  manifests = 0;
  artifacts = 0;
  bytes = 0;
  readonly #from: ImageStore;
  readonly #to: ImageStore;
  readonly #signal: AbortSignal | undefined;
  readonly #mountFrom: string | undefined;
  readonly #done = new Set<Digest>();

  constructor(from: ImageStore, to: ImageStore, signal: AbortSignal | undefined) {
    this.#from = from;
    this.#to = to;
    this.#signal = signal;
    this.#mountFrom = sameRegistry(from, to);
  }

  /** What a manifest needs, then the manifest. */
  async tree(
    stored: StoredManifest,
    { report, depth = 0 }: { readonly report: StepReport; readonly depth?: number },
  ): Promise<void> {
    const { manifest, descriptor, bytes } = stored;
    if (depth > deepest)
      throw new LayerError('registry', `${this.#from.name}: indexes nested deeper than ${deepest}`);
    if (!descriptor.digest.startsWith('sha256:')) {
      throw new LayerError(
        'input',
        `${descriptor.digest}: only what has a SHA-256 digest keeps it when copied`,
      );
    }
    if (this.#done.has(descriptor.digest)) return;
    this.#done.add(descriptor.digest);
    this.subjects.add(descriptor.digest);
    if (manifest.kind === 'index') {
      for (const { digest } of manifest.manifests) {
        await this.tree(await this.#from.manifest(digest, { signal: this.#signal }), {
          report,
          depth: depth + 1,
        });
      }
    } else {
      for (const layer of manifest.layers) this.subjects.add(layer.digest);
      await this.#blobsOf(manifest, report);
    }
    await this.#to.pushManifest(bytes, { mediaType: descriptor.mediaType, signal: this.#signal });
    this.manifests += 1;
  }

  async referrers(subject: Digest, report: StepReport): Promise<void> {
    const listed = await this.#from.referrers(subject, { signal: this.#signal });
    const there = await this.#to.referrers(subject, { signal: this.#signal });
    for (const { digest, artifactType } of listed) {
      if (!artifactTypes.has(artifactType) || there.some((each) => each.digest === digest)) continue;
      const { manifest, bytes, descriptor } = await this.#from.manifest(digest, { signal: this.#signal });
      await this.#blobsOf(manifest, report);
      await this.#to.pushManifest(bytes, { mediaType: descriptor.mediaType, signal: this.#signal });
      this.artifacts += 1;
    }
  }

  /** The tag, and the record that it was signed when the source has one. */
  async name({ bytes, descriptor }: StoredManifest, tag: string): Promise<void> {
    const signal = this.#signal;
    const records = await this.#from.referrers(descriptor.digest, { artifactType: tagRecordType, signal });
    const record = tagRecordName(tag);
    if (records.length > 0 && record !== undefined) {
      await pushArtifact(this.#to, { bytes: encodeTagRecord(descriptor, tag), tag: record }, { signal });
    }
    await this.#to.pushManifest(bytes, { mediaType: descriptor.mediaType, tag, signal });
  }

  async #blobsOf(manifest: Manifest, report: StepReport): Promise<void> {
    if (manifest.kind === 'index') return;
    for (const blob of [manifest.config, ...manifest.layers]) await this.#blob(blob, report);
  }

  async #blob(blob: Descriptor, report: StepReport): Promise<void> {
    if (this.#done.has(blob.digest)) return;
    this.#done.add(blob.digest);
    const signal = this.#signal;
    const outcome = await this.#to.pushBlob(blob, (offset) => this.#from.blob(blob, { offset, signal }), {
      signal,
      onProgress: (done) => report.progress({ done, total: blob.size, unit: 'bytes' }),
      ...(this.#mountFrom !== undefined && { mountFrom: this.#mountFrom }),
    });
    if (outcome === 'exists') this.blobs.there += 1;
    else if (outcome === 'mounted') this.blobs.mounted += 1;
    else {
      this.blobs.copied += 1;
      this.bytes += blob.size;
    }
  }
}

function cut(name: string): readonly [string, string] {
  const slash = name.indexOf('/');
  return [name.slice(0, slash), name.slice(slash + 1)];
}

/** The repository to mount blobs from, when both are in one registry. */
function sameRegistry(from: ImageStore, to: ImageStore): string | undefined {
  if (from.kind !== 'registry' || to.kind !== 'registry') return undefined;
  const [here, repository] = cut(from.name);
  const [there, other] = cut(to.name);
  return here === there && repository !== other ? repository : undefined;
}
