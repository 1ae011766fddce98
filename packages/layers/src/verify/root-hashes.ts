/** The root hash of a layer as it really is: from its archive, or from the image somebody published of it. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StepReport } from '@osguard/events';
import type { RootHash } from '@osguard/formats/verity';
import { convertLayer } from '../convert/convert-layer.ts';
import { LayerError } from '../error.ts';
import type { ImageStore } from '../registry/store.ts';
import { fetchVerityImage, sha256Only } from '../sign/published.ts';
import type { PublishedImage } from '../sign/published.ts';
import { openWorkFolder } from '../sign/work-folder.ts';
import type { ImageLayer } from '../sources/images.ts';

export interface RootHashOptions {
  /** Accept what a published image gives whose own header names this layer's diff ID. */
  readonly published: readonly PublishedImage[];
  readonly workFolder?: string;
  readonly threads?: number;
  readonly report: StepReport;
  readonly signal?: AbortSignal | undefined;
}

export interface FoundRootHash {
  readonly rootHash: RootHash;
  readonly from: 'layer' | 'published-image';
}

/** @throws LayerError when the layer cannot become an image, or its bytes are not what the image says. */
export async function findRootHash(
  store: ImageStore,
  layer: ImageLayer,
  { published, workFolder, threads, report, signal }: RootHashOptions,
): Promise<FoundRootHash> {
  await using folder = await openWorkFolder(workFolder);
  const output = join(folder.path, 'image');
  const work = { output, ...(threads !== undefined && { threads }), ...(signal !== undefined && { signal }) };
  for (const image of published.filter(({ diffId }) => diffId === layer.diffId)) {
    try {
      const onProgress = (done: number, total: number): void =>
        report.progress({ done, total, unit: 'bytes' });
      const { rootHash } = await fetchVerityImage(store, image, { ...work, onProgress });
      return { rootHash, from: 'published-image' };
    } catch (error) {
      // What was published is wrong: the layer itself decides.
      if (!(error instanceof LayerError)) throw error;
      report.warning('published-image', `${layer.descriptor.digest}: ${error.message}`);
      await rm(output, { force: true });
    }
  }
  const { descriptor, diffId } = layer;
  const { rootHash } = await convertLayer(store.blob(descriptor, { signal }), {
    ...work,
    mediaType: descriptor.mediaType,
    diffId: sha256Only(diffId),
    sourceSize: descriptor.size,
    onProgress: (done) => report.progress({ done, total: descriptor.size, unit: 'bytes' }),
  });
  return { rootHash, from: 'layer' };
}
