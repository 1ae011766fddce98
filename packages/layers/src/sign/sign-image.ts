/**
 * Signing an image: for every layer of every platform, the verity image it becomes, the signature of its root hash,
 * and both published where nodes look for them. What is there already is kept, so a run that was interrupted goes on
 * and a second run changes nothing.
 */

import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { step } from '@osguard/events';
import type { EventSink, StepReport } from '@osguard/events';
import { allSignersGood, verifyRootHashSignature } from '@osguard/formats/cms';
import { FormatError } from '@osguard/formats/bytes';
import { digestHex, parseDigest, rootHashSignatureType, signatureArtifactTypes } from '@osguard/formats/oci';
import type { Descriptor, Digest } from '@osguard/formats/oci';
import type { RootHash } from '@osguard/formats/verity';
import { assertRole, signRootHash } from '@osguard/keys';
import type { Signer } from '@osguard/keys';
import { convertLayer } from '../convert/convert-layer.ts';
import { LayerError } from '../error.ts';
import { inParallel } from '../registry/in-parallel.ts';
import type { ImageStore } from '../registry/store.ts';
import { readImages } from '../sources/images.ts';
import type { ImageLayer, PlatformImage } from '../sources/images.ts';
import type { OpenedImage } from '../sources/open-image.ts';
import { encodeTransport } from '../transport/encode.ts';
import { verityLayerMediaType } from '../transport/media-type.ts';
import {
  encodeSignatureManifest,
  encodeTagRecord,
  encodeVerityArtifact,
  tagRecordName,
  tagRecordType,
} from './artifact.ts';
import { findVerityImages, sha256Only } from './published.ts';
import { pushArtifact, pushBytes } from './push-artifact.ts';
import { openWorkFolder } from './work-folder.ts';

export interface SignImageOptions {
  /** Of the role `layers`. */
  readonly signer: Signer;
  /** One platform (`linux/amd64`); all of them unless given. */
  readonly platform?: string | undefined;
  /** Convert and sign layers again that this signer has signed already. */
  readonly again?: boolean;
  /** Where images lie on their way: needs room for one layer, uncompressed, and what it is compressed to. */
  readonly workFolder?: string;
  readonly threads?: number;
  readonly sink?: EventSink;
  readonly signal?: AbortSignal | undefined;
}

export interface SignedLayerReport {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly rootHash: RootHash;
  readonly state: 'signed' | 'kept';
}

export interface SignReport {
  readonly name: string;
  /** What the name pointed at. */
  readonly digest: Digest;
  /** The name with the digest: what a deployment should say. */
  readonly pinned: string;
  readonly signer: string;
  readonly images: readonly {
    readonly platform: string;
    readonly digest: Digest;
    /** Of the signature manifest. */
    readonly signatures: Digest;
    readonly layers: readonly SignedLayerReport[];
  }[];
}

interface Signed extends SignedLayerReport {
  readonly layer: Descriptor;
  readonly signature: Descriptor;
}

/** @throws LayerError, KeysError; AbortError passes through. */
export async function signImage(opened: OpenedImage, options: SignImageOptions): Promise<SignReport> {
  const { signer, platform, sink, signal } = options;
  const { store } = opened;
  assertRole(signer, { roles: ['layers'], what: 'a layer' });
  if (store.kind === 'archive') {
    throw new LayerError('read-only', `${store.name}: signatures cannot be put into an archive`, {
      hint: `osguard layers copy ${opened.name} oci:FOLDER:NAME, and sign that`,
    });
  }
  const which = opened.digest ?? opened.tag ?? 'latest';
  const set = await step(sink, { id: 'image', title: `read ${opened.name}` }, async (report) => {
    const found = await readImages(store, which, { platform, signal });
    const layers = new Set(
      found.images.flatMap((image) => image.layers.map((each) => each.descriptor.digest)),
    );
    report.detail(`${found.images.map((image) => image.platform).join(', ')}: ${layers.size} layers`);
    return found;
  });
  const distinct = new Map(
    set.images.flatMap((image) => image.layers.map((each) => [each.descriptor.digest, each])),
  );
  const kept = new Map(
    await inParallel(options.again === true ? [] : distinct, async ([digest, layer]) => {
      return [digest, await findOwn(store, layer, options)] as const;
    }),
  );
  const signed = new Map<Digest, Signed>();
  let number = 0;
  for (const [digest, layer] of distinct) {
    number += 1;
    const title = `layer ${number}/${distinct.size} ${digestHex(digest).slice(0, 12)}`;
    signed.set(
      digest,
      await step(sink, { id: `layer-${digestHex(digest).slice(0, 12)}`, title }, async (report) =>
        signLayer(store, layer, { ...options, report, kept: kept.get(digest) }),
      ),
    );
  }
  const images: SignReport['images'][number][] = [];
  for (const image of set.images)
    images.push(await publishSignatures(store, image, { signed, signal, sink }));
  if (opened.digest === undefined && opened.tag !== undefined)
    await recordTag(store, set.descriptor, { tag: opened.tag, signal });
  return {
    name: opened.name,
    digest: set.descriptor.digest,
    pinned: opened.digest === undefined ? `${opened.name}@${set.descriptor.digest}` : opened.name,
    signer: signer.certificate.subjectText,
    images,
  };
}

async function signLayer(
  store: ImageStore,
  layer: ImageLayer,
  options: SignImageOptions & { readonly report: StepReport; readonly kept: Signed | undefined },
): Promise<Signed> {
  const { signer, report, signal, kept } = options;
  if (kept !== undefined) {
    report.cached(`signed already, root hash ${kept.rootHash}`);
    return kept;
  }
  await using folder = await openWorkFolder(options.workFolder);
  const image = join(folder.path, 'image');
  const blob = join(folder.path, 'blob');
  const { descriptor, diffId } = layer;
  const { size } = descriptor;
  const converted = await convertLayer(store.blob(descriptor, { signal }), {
    output: image,
    mediaType: descriptor.mediaType,
    diffId: sha256Only(diffId),
    sourceSize: size,
    onProgress: (done) => report.progress({ done, total: size, unit: 'bytes' }),
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(signal !== undefined && { signal }),
  });
  for (const { name, count } of converted.dropped) {
    report.warning('dropped-attribute', `${descriptor.digest}: ${count} files lose their attribute ${name}`);
  }
  const encoded = await encodeTransport(image, {
    output: blob,
    layer: converted,
    onProgress: (done, total) => report.progress({ done, total, unit: 'bytes' }),
    ...(signal !== undefined && { signal }),
  });
  await rm(image);
  const { rootHash } = converted;
  const message = await signRootHash(signer, rootHash);
  const transport: Descriptor = {
    mediaType: verityLayerMediaType,
    digest: parseDigest(encoded.digest),
    size: encoded.size,
  };
  await store.pushBlob(
    transport,
    (offset) => createReadStream(blob, { start: offset, highWaterMark: 1024 * 1024 }),
    {
      signal,
      onProgress: (done) => report.progress({ done, total: encoded.size, unit: 'bytes' }),
    },
  );
  const signature = await pushBytes(store, { bytes: message, mediaType: rootHashSignatureType }, { signal });
  const bytes = encodeVerityArtifact(
    { layer: descriptor, diffId, rootHash, transport, signatures: [signature] },
    { message },
  );
  // Last: whoever finds the artifact finds all of its parts.
  await pushArtifact(store, { bytes }, { signal });
  report.detail(`root hash ${rootHash}`);
  return { digest: descriptor.digest, layer: descriptor, diffId, rootHash, signature, state: 'signed' };
}

/** What this signer published for the layer before. */
async function findOwn(
  store: ImageStore,
  { descriptor, diffId }: ImageLayer,
  { signer, signal }: SignImageOptions,
): Promise<Signed | undefined> {
  for (const image of await findVerityImages(store, descriptor.digest, { signal })) {
    const message = image.signatures.find((each) => isSignedBy(signer, each, image.rootHash));
    if (message === undefined || image.diffId !== diffId || !(await store.has(image.transport, { signal })))
      continue;
    const signature = await pushBytes(
      store,
      { bytes: message, mediaType: rootHashSignatureType },
      { signal },
    );
    return {
      digest: descriptor.digest,
      layer: descriptor,
      diffId,
      rootHash: image.rootHash,
      signature,
      state: 'kept',
    };
  }
  return undefined;
}

function isSignedBy(signer: Signer, message: Uint8Array, rootHash: RootHash): boolean {
  try {
    return allSignersGood(verifyRootHashSignature(message, rootHash, { trusted: [signer.certificate] }));
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

async function publishSignatures(
  store: ImageStore,
  { descriptor, platform, layers }: PlatformImage,
  {
    signed,
    signal,
    sink,
  }: {
    readonly signed: ReadonlyMap<Digest, Signed>;
    readonly signal: AbortSignal | undefined;
    readonly sink: EventSink | undefined;
  },
): Promise<SignReport['images'][number]> {
  const own = layers
    .map(({ descriptor: { digest } }) => signed.get(digest))
    .filter((each) => each !== undefined);
  const bytes = encodeSignatureManifest(descriptor, own);
  return step(sink, { id: `signatures-${platform}`, title: `signatures of ${platform}` }, async (report) => {
    const artifactType = signatureArtifactTypes.notation;
    const known = await store.referrers(descriptor.digest, { artifactType, signal });
    const { digest, pushed } = await pushArtifact(store, { bytes, known }, { signal });
    if (pushed) report.detail(digest);
    else report.cached(digest);
    const reports = own.map(({ layer: _layer, signature: _signature, ...rest }) => rest);
    return { platform, digest: descriptor.digest, signatures: digest, layers: reports };
  });
}

async function recordTag(
  store: ImageStore,
  image: Descriptor,
  { tag, signal }: { readonly tag: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const name = tagRecordName(tag);
  if (name === undefined) return;
  const bytes = encodeTagRecord(image, tag);
  const known = await store.referrers(image.digest, { artifactType: tagRecordType, signal });
  const { digest, pushed } = await pushArtifact(store, { bytes, tag: name, known }, { signal });
  // Signed before, and the tag was elsewhere in between: the record has to come back as well.
  if (!pushed && (await recorded(store, name, signal)) !== digest)
    await pushArtifact(store, { bytes, tag: name }, { signal });
}

async function recorded(
  store: ImageStore,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Digest | undefined> {
  try {
    return (await store.manifest(name, { signal })).descriptor.digest;
  } catch (error) {
    if (error instanceof LayerError && error.code === 'not-found') return undefined;
    throw error;
  }
}
