/** Who refers to a manifest or blob: the referrers API, and the tag that stands in for it (distribution-spec 1.1). */

import {
  artifactTypeOf,
  encodeManifest,
  mediaTypes,
  parseManifest,
  referrersTag,
} from '@osguard/formats/oci';
import type { Descriptor, Digest, ImageIndex, Manifest } from '@osguard/formats/oci';
import { LayerError } from '../error.ts';
import type { HttpResponse } from './http.ts';
import { discard, readAll } from './http.ts';
import type { ImageStore } from './store.ts';

/** Bytes. */
const largestPage = 4 * 1024 * 1024;
/** Of all pages together: what is listed after that is not seen. */
const mostListed = 16 * 1024 * 1024;
/** Entries of a list that are looked at one by one. */
const mostCompleted = 256;

export interface ListReferrersOptions {
  readonly subject: Digest;
  readonly artifactType?: string;
  readonly pages: AsyncIterable<{ readonly response: HttpResponse }>;
  readonly signal?: AbortSignal | undefined;
}

export async function listReferrers(
  store: ImageStore,
  options: ListReferrersOptions,
): Promise<readonly Descriptor[]> {
  const { subject, artifactType, signal } = options;
  const found = await fromApi(options);
  if (found !== undefined) return found;
  const tagged = (await fromTag(store, subject, signal))?.manifests ?? [];
  return ofType(await completed(store, tagged, signal), artifactType);
}

async function fromApi({
  pages,
  artifactType,
}: ListReferrersOptions): Promise<readonly Descriptor[] | undefined> {
  const found: Descriptor[] = [];
  let size = 0;
  for await (const { response } of pages) {
    const type = response.header('content-type')?.replace(/;.*$/s, '').trim();
    // Some registries answer any path with a page for people.
    if (response.status !== 200 || type !== mediaTypes.ociIndex) {
      discard(response);
      return undefined;
    }
    const bytes = await readAll(response, largestPage);
    const page = parseManifest(bytes);
    if (page.kind !== 'index') throw new LayerError('registry', 'the list of referrers is no index');
    found.push(...ofType(page.manifests, artifactType));
    size += bytes.length;
    // Whoever may push must not be able to make the whole list unreadable.
    if (size > mostListed) break;
  }
  return found;
}

/** Filtering by the registry is optional, and nobody has to believe it. */
function ofType(entries: readonly Descriptor[], artifactType: string | undefined): readonly Descriptor[] {
  return artifactType === undefined ? entries : entries.filter((each) => each.artifactType === artifactType);
}

/** Tools that copy the tag rewrite its list without what they do not know: skopeo 1.9 drops artifact types. */
async function completed(
  store: ImageStore,
  entries: readonly Descriptor[],
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  for (const entry of entries) {
    const known = entry.artifactType !== undefined || found.length > mostCompleted;
    const manifest = known ? undefined : await manifestOf(store, entry, signal);
    found.push(manifest === undefined ? entry : referrerEntry(entry, manifest));
  }
  return found;
}

async function manifestOf(
  store: ImageStore,
  { digest }: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Manifest | undefined> {
  try {
    return (await store.manifest(digest, { signal })).manifest;
  } catch (error) {
    // One broken entry must not hide the others.
    if (error instanceof LayerError && ['not-found', 'registry', 'digest'].includes(error.code))
      return undefined;
    throw error;
  }
}

async function fromTag(
  store: ImageStore,
  subject: Digest,
  signal: AbortSignal | undefined,
): Promise<ImageIndex | undefined> {
  try {
    const { manifest } = await store.manifest(referrersTag(subject), { signal });
    return manifest.kind === 'index' ? manifest : undefined;
  } catch (error) {
    if (error instanceof LayerError && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** How an index lists a manifest: with what the referrers API would say of it. */
export function referrerEntry(descriptor: Descriptor, manifest: Manifest): Descriptor {
  const artifactType = artifactTypeOf(manifest);
  const { mediaType, digest, size } = descriptor;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(manifest.annotations.size > 0 && { annotations: manifest.annotations }),
  };
}

/**
 * Adds a manifest to the tag of its subject. Two writers at once can lose each other's entry, as there is no
 * compare-and-set on tags: what was written is read back, and written again when it is gone.
 */
export async function recordReferrer(
  store: ImageStore,
  {
    descriptor,
    manifest,
    signal,
  }: { readonly descriptor: Descriptor; readonly manifest: Manifest; readonly signal?: AbortSignal },
): Promise<void> {
  const { subject } = manifest;
  if (subject === undefined) return;
  const entry = referrerEntry(descriptor, manifest);
  for (let tries = 0; tries < 4; tries += 1) {
    const index = await fromTag(store, subject.digest, signal);
    const manifests = index?.manifests ?? [];
    if (manifests.some(({ digest }) => digest === entry.digest)) return;
    const next: ImageIndex = {
      kind: 'index',
      mediaType: mediaTypes.ociIndex,
      annotations: index?.annotations ?? new Map(),
      manifests: [...manifests, entry],
    };
    const tag = referrersTag(subject.digest);
    await store.pushManifest(encodeManifest(next), { mediaType: mediaTypes.ociIndex, tag, signal });
  }
  const last = await fromTag(store, subject.digest, signal);
  if (last?.manifests.some(({ digest }) => digest === entry.digest) === true) return;
  throw new LayerError('registry', `${store.name}: others keep overwriting ${referrersTag(subject.digest)}`, {
    hint: 'run it again when nobody else pushes',
  });
}
