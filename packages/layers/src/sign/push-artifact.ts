/** Putting small things into a store: bytes as a blob, manifests with what they need. */

import { digestOfBytes } from '@osguard/formats/oci';
import type { Descriptor, Digest } from '@osguard/formats/oci';
import { mediaTypes } from '@osguard/formats/oci';
import type { ImageStore, StoreOptions } from '../registry/store.ts';
import { emptyConfig } from './artifact.ts';

export async function pushBytes(
  store: ImageStore,
  { bytes, mediaType }: { readonly bytes: Uint8Array; readonly mediaType: string },
  { signal }: StoreOptions = {},
): Promise<Descriptor> {
  const descriptor: Descriptor = { mediaType, digest: digestOfBytes(bytes), size: bytes.length };
  await store.pushBlob(descriptor, (offset) => once(bytes.subarray(offset)), { signal });
  return descriptor;
}

/** An artifact's manifest and its empty config; nothing is sent when `known` lists it already. */
export async function pushArtifact(
  store: ImageStore,
  {
    bytes,
    tag,
    known = [],
  }: { readonly bytes: Uint8Array; readonly tag?: string; readonly known?: readonly Descriptor[] },
  { signal }: StoreOptions = {},
): Promise<{ readonly digest: Digest; readonly pushed: boolean }> {
  const digest = digestOfBytes(bytes);
  if (known.some((each) => each.digest === digest)) return { digest, pushed: false };
  await pushBytes(store, { bytes: emptyConfig.data, mediaType: emptyConfig.mediaType }, { signal });
  await store.pushManifest(bytes, {
    mediaType: mediaTypes.ociManifest,
    signal,
    ...(tag !== undefined && { tag }),
  });
  return { digest, pushed: true };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes.length > 0) yield await Promise.resolve(bytes);
}
