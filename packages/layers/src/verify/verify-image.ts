/**
 * Would a host that trusts these certificates run this image? Every layer of every platform is converted (or, with
 * `fast`, what was published of it is hashed) and its signatures are checked. A check that cannot be made has failed.
 */

import { step } from '@osguard/events';
import type { EventSink } from '@osguard/events';
import { digestHex } from '@osguard/formats/oci';
import type { Digest } from '@osguard/formats/oci';
import type { Keyring } from '@osguard/keys';
import { LayerError } from '../error.ts';
import type { ImageStore } from '../registry/store.ts';
import { tagRecordName, tagRecordType } from '../sign/artifact.ts';
import { readImages } from '../sources/images.ts';
import type { ImageLayer, ImageSet, PlatformImage } from '../sources/images.ts';
import type { OpenedImage } from '../sources/open-image.ts';
import { findSignatures } from './find-signatures.ts';
import type { FoundSignatures } from './find-signatures.ts';
import { findRootHash } from './root-hashes.ts';
import { bestVerdict, judgeSignature } from './signature-verdict.ts';
import type { RefusalReason, SignatureVerdict } from './signature-verdict.ts';

export interface VerifyImageOptions {
  readonly trust: Keyring;
  /** Hash what was published of a layer instead of converting it, where the published image names the layer. */
  readonly fast?: boolean;
  readonly platform?: string | undefined;
  /** Milliseconds since 1970, for the validity of certificates. */
  readonly at: number;
  readonly workFolder?: string;
  readonly threads?: number;
  readonly sink?: EventSink;
  readonly signal?: AbortSignal | undefined;
}

export interface LayerCheck {
  /** `tag`, `root-hash` or `signature`. */
  readonly id: string;
  readonly title: string;
  readonly ok: boolean;
  readonly reason?: RefusalReason;
  readonly expected?: string;
  readonly found: string;
  /** `linux/amd64 layer 3 0123456789ab`: the beginning of its digest. */
  readonly where?: string;
}

export interface VerifiedLayer {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly rootHash?: string;
  readonly ok: boolean;
  readonly reason?: RefusalReason;
  readonly signer?: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly name: string;
  readonly digest: Digest;
  /** Each once, in the order they were found; empty when all is well. */
  readonly reasons: readonly RefusalReason[];
  readonly checks: readonly LayerCheck[];
  readonly images: readonly {
    readonly platform: string;
    readonly digest: Digest;
    readonly layers: readonly VerifiedLayer[];
  }[];
}

type RootHashes = ReadonlyMap<
  Digest,
  { readonly rootHash?: string; readonly found: string; readonly from?: string }
>;

/** @throws LayerError when the image cannot be read at all. */
export async function verifyImage(opened: OpenedImage, options: VerifyImageOptions): Promise<VerifyReport> {
  const { platform, signal, sink } = options;
  const { store } = opened;
  const which = opened.digest ?? opened.tag ?? 'latest';
  const { set, found } = await step(sink, { id: 'image', title: `read ${opened.name}` }, async (report) => {
    const images = await readImages(store, which, { platform, signal });
    const signatures = new Map<PlatformImage, FoundSignatures>();
    for (const image of images.images)
      signatures.set(image, await findSignatures(store, image, { tag: opened.tag, signal }));
    const count = [...signatures.values()].reduce((sum, each) => sum + each.signatures.length, 0);
    report.detail(`${images.images.map((image) => image.platform).join(', ')}: ${count} signatures`);
    return { set: images, found: signatures };
  });
  const hashes = await rootHashesOf(store, { set, found, options });
  const of = layersByRootHash(set, hashes);
  const checks: LayerCheck[] = [];
  const images: VerifyReport['images'][number][] = [];
  for (const [image, signatures] of found) {
    const layers = image.layers.map((layer) =>
      verifyLayer(layer, { image, signatures, hashes, of, options, checks }),
    );
    images.push({ platform: image.platform, digest: image.descriptor.digest, layers });
  }
  checks.unshift(await checkTag(opened, { set, images, signal }));
  const reasons = new Set(checks.map(({ reason }) => reason).filter((reason) => reason !== undefined));
  return {
    ok: checks.every(({ ok }) => ok),
    name: opened.name,
    digest: set.descriptor.digest,
    reasons: [...reasons],
    checks,
    images,
  };
}

async function rootHashesOf(
  store: ImageStore,
  {
    set,
    found,
    options,
  }: {
    readonly set: ImageSet;
    readonly found: ReadonlyMap<PlatformImage, FoundSignatures>;
    readonly options: VerifyImageOptions;
  },
): Promise<RootHashes> {
  const { fast = false, sink, signal, workFolder, threads } = options;
  const hashes = new Map<Digest, { rootHash?: string; found: string; from?: string }>();
  const distinct = new Set(
    set.images.flatMap(({ layers }) => layers.map(({ descriptor }) => descriptor.digest)),
  );
  for (const [image, signatures] of found) {
    for (const layer of image.layers) {
      const { digest } = layer.descriptor;
      if (hashes.has(digest)) continue;
      const id = digestHex(digest).slice(0, 12);
      const title = `layer ${hashes.size + 1}/${distinct.size} ${id}`;
      await step(sink, { id: `layer-${id}`, title }, async (report) => {
        try {
          const { rootHash, from } = await findRootHash(store, layer, {
            published: fast ? (signatures.images.get(digest) ?? []) : [],
            report,
            signal,
            ...(workFolder !== undefined && { workFolder }),
            ...(threads !== undefined && { threads }),
          });
          hashes.set(digest, { rootHash, found: rootHash, from });
          report.detail(`root hash ${rootHash}`);
        } catch (error) {
          if (!(error instanceof LayerError)) throw error;
          hashes.set(digest, { found: error.message });
        }
      });
    }
  }
  return hashes;
}

/** For telling whose a stray root hash is. */
function layersByRootHash(set: ImageSet, hashes: RootHashes): ReadonlyMap<string, string> {
  const of = new Map<string, string>();
  for (const image of set.images) {
    for (const { descriptor, index } of image.layers) {
      const rootHash = hashes.get(descriptor.digest)?.rootHash;
      if (rootHash !== undefined) of.set(rootHash, `layer ${index + 1} (${descriptor.digest})`);
    }
  }
  return of;
}

interface LayerContext {
  readonly image: PlatformImage;
  readonly signatures: FoundSignatures;
  readonly hashes: RootHashes;
  readonly of: ReadonlyMap<string, string>;
  readonly options: VerifyImageOptions;
  readonly checks: LayerCheck[];
}

function verifyLayer(layer: ImageLayer, context: LayerContext): VerifiedLayer {
  const { image, signatures, hashes, of, options, checks } = context;
  const { descriptor, diffId, index } = layer;
  const { digest } = descriptor;
  const where = `${image.platform} layer ${index + 1} ${digestHex(digest).slice(0, 12)}`;
  const { rootHash, found, from } = hashes.get(digest) ?? {
    found: 'nothing',
    rootHash: undefined,
    from: undefined,
  };
  checks.push({
    id: 'root-hash',
    title:
      from === 'published-image' ? 'the published image is of this layer' : 'the layer gives a root hash',
    where,
    ok: rootHash !== undefined,
    expected: 'a layer that can be converted',
    found,
    ...(rootHash === undefined && { reason: 'layer-unreadable' as const }),
  });
  const others = new Map([...of].filter(([hash]) => hash !== rootHash));
  for (const published of signatures.images.values()) {
    for (const each of published) {
      if (each.diffId !== diffId && each.rootHash !== rootHash)
        others.set(each.rootHash, `the layer with diff ID ${each.diffId}`);
    }
  }
  const verdict = bestVerdict(
    signatures.signatures
      .filter(({ layerDigest }) => layerDigest === digest)
      .map(({ message, rootHash: claimed }) =>
        judgeSignature(message, claimed, {
          trust: options.trust,
          at: options.at,
          rootHash: rootHash ?? '',
          others,
        }),
      ),
  );
  checks.push(signatureCheck(verdict, { where, signatures, rootHash }));
  const reason = rootHash === undefined ? 'layer-unreadable' : verdict.reason;
  return {
    digest,
    diffId,
    ok: rootHash !== undefined && verdict.ok,
    ...(rootHash !== undefined && { rootHash }),
    ...(reason !== undefined && { reason }),
    ...(verdict.signer !== undefined && { signer: verdict.signer }),
  };
}

function signatureCheck(
  { ok, reason, found }: SignatureVerdict,
  {
    where,
    signatures: { signatures, unreadable },
    rootHash,
  }: { readonly where: string; readonly signatures: FoundSignatures; readonly rootHash: string | undefined },
): LayerCheck {
  const elsewhere = new Set(signatures.map(({ layerDigest }) => layerDigest)).size;
  const broken = unreadable.map(({ artifact, why }) => `; ${artifact} cannot be read: ${why}`).join('');
  const nothing = `no signature of this layer (${elsewhere} other layers have some${broken})`;
  return {
    id: 'signature',
    title: 'its root hash is signed',
    where,
    ok,
    expected: `a signature of ${rootHash ?? 'its root hash'} by a certificate of the role layers`,
    found: reason === 'signature-missing' ? nothing : reason === undefined ? found : `${found} [${reason}]`,
    ...(reason !== undefined && { reason }),
  };
}

/** A name and a digest that disagree; or, when nothing is signed, a record that the tag pointed elsewhere. */
async function checkTag(
  { store, tag, digest }: OpenedImage,
  {
    set,
    images,
    signal,
  }: {
    readonly set: ImageSet;
    readonly images: VerifyReport['images'];
    readonly signal: AbortSignal | undefined;
  },
): Promise<LayerCheck> {
  const base = {
    id: 'tag',
    title: 'the name means the image that was signed',
    expected: set.descriptor.digest,
  };
  const now = set.descriptor.digest;
  if (tag === undefined) return { ...base, ok: true, found: `${now} (no tag)` };
  if (digest !== undefined) {
    const pointed = (await store.manifest(tag, { signal })).descriptor.digest;
    if (pointed === digest) return { ...base, ok: true, found: now };
    return { ...base, ok: false, reason: 'tag-moved', found: `${tag} points at ${pointed}` };
  }
  const unsigned = images.some(({ layers }) => layers.some(({ reason }) => reason === 'signature-missing'));
  const recorded = unsigned ? await recordedDigest(store, tag, signal) : undefined;
  if (recorded === undefined || recorded === now) return { ...base, ok: true, found: now };
  return {
    ...base,
    ok: false,
    reason: 'tag-moved',
    expected: `${recorded}, which ${tag} pointed at when it was signed`,
    found: `${now}, which has layers nobody signed`,
  };
}

async function recordedDigest(
  store: ImageStore,
  tag: string,
  signal: AbortSignal | undefined,
): Promise<Digest | undefined> {
  const name = tagRecordName(tag);
  if (name === undefined) return undefined;
  try {
    const { manifest } = await store.manifest(name, { signal });
    return manifest.artifactType === tagRecordType ? manifest.subject?.digest : undefined;
  } catch (error) {
    if (error instanceof LayerError && error.code === 'not-found') return undefined;
    throw error;
  }
}
