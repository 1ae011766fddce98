/** Finding the published image of a layer among what anybody may push beside it. */

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { digestOfBytes, mediaTypes, parseManifest, rootHashSignatureType } from '@osguard/formats/oci';
import type { Descriptor, Digest } from '@osguard/formats/oci';
import { parseRootHash } from '@osguard/formats/verity';
import { largestVerityImage, LayerError, verityImages } from '@osguard/layers';
import type { ArtifactClaim, ImageStore } from '@osguard/layers';
import { referrerEntry } from '../src/registry/referrers.ts';
import { encodeVerityArtifact } from '../src/sign/artifact.ts';
import { verityLayerMediaType } from '../src/transport/media-type.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const blob = (mediaType: string, bytes: Uint8Array): Descriptor => ({
  mediaType,
  digest: digestOfBytes(bytes),
  size: bytes.length,
});
const layer: Descriptor = blob('application/vnd.oci.image.layer.v1.tar+gzip', bytesOf('layer'));

interface Pushed {
  readonly message: string;
  /** Whether the artifact shows its signature in the list. */
  readonly shown?: boolean;
}

/** A registry with nothing but artifacts of one layer, which counts what is read of it. */
class FakeStore {
  readonly name = 'fake';
  readonly kind = 'registry';
  readonly read: Digest[] = [];
  readonly #blobs = new Map<Digest, Uint8Array>();
  readonly #listed: Descriptor[] = [];
  /** Bytes every manifest says it has when it is read. */
  sizeWhenRead: number | undefined;

  push({ message, shown = true }: Pushed): Digest {
    const signature = bytesOf(message);
    const descriptor = blob(rootHashSignatureType, signature);
    this.#blobs.set(descriptor.digest, signature);
    const bytes = encodeVerityArtifact(
      {
        layer,
        diffId: digestOfBytes(bytesOf('archive')),
        rootHash: parseRootHash('a'.repeat(64)),
        transport: blob(verityLayerMediaType, bytesOf('image')),
        signatures: [descriptor],
      },
      shown ? { message: signature } : {},
    );
    const manifest = blob(mediaTypes.ociManifest, bytes);
    this.#blobs.set(manifest.digest, bytes);
    this.#listed.push(referrerEntry(manifest, parseManifest(bytes)));
    return manifest.digest;
  }

  store(): ImageStore {
    const fake = {
      name: this.name,
      kind: this.kind,
      referrers: async () => this.#listed,
      manifest: async (digest: Digest) => {
        this.read.push(digest);
        const bytes = this.#blobs.get(digest) ?? new Uint8Array();
        const { size } = blob('', bytes);
        return {
          descriptor: { mediaType: mediaTypes.ociManifest, digest, size: this.sizeWhenRead ?? size },
          bytes,
          manifest: parseManifest(bytes),
        };
      },
      blob: async function* (this: void, { digest }: Descriptor) {
        yield blobs.get(digest) ?? new Uint8Array();
      },
    };
    const blobs = this.#blobs;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of it is used
    return fake as unknown as ImageStore;
  }
}

const isGood = ({ signature }: ArtifactClaim): boolean =>
  signature !== undefined && Buffer.from(signature).toString() === 'good';

void suite('published images', () => {
  test('one that shows a good signature is read before any junk, however much there is', async () => {
    const fake = new FakeStore();
    for (let n = 0; n < 1000; n += 1) fake.push({ message: `junk ${n}`, shown: n % 2 === 0 });
    const good = fake.push({ message: 'good' });
    for await (const image of verityImages(fake.store(), layer.digest, { isLikely: isGood })) {
      assert.equal(image.artifact, good);
      assert.deepEqual(
        image.signatures.map((each) => Buffer.from(each).toString()),
        ['good'],
      );
      break;
    }
    assert.deepEqual(fake.read, [good]);
  });

  test('one of an older version, which shows none, is found behind more junk than before', async () => {
    const fake = new FakeStore();
    for (let n = 0; n < 300; n += 1) fake.push({ message: `junk ${n}` });
    const good = fake.push({ message: 'good', shown: false });
    const found: Digest[] = [];
    for await (const { artifact } of verityImages(fake.store(), layer.digest, { isLikely: isGood }))
      found.push(artifact);
    assert.equal(found.at(-1), good);
  });

  test('reading ends with a reason when too many bytes were read', async () => {
    const fake = new FakeStore();
    for (let n = 0; n < 100; n += 1) fake.push({ message: `junk ${n}` });
    fake.sizeWhenRead = 4 * 1024 * 1024;
    const all = async (): Promise<void> => {
      for await (const _ of verityImages(fake.store(), layer.digest)) continue;
    };
    await assert.rejects(
      all,
      (error) => error instanceof LayerError && /too many to look at/.test(error.message),
    );
    assert.equal(fake.read.length, 16);
  });

  test('how large an image may be follows from the layer', () => {
    const MiB = 2 ** 20;
    const of = (mediaType: string, size: number): number => largestVerityImage({ mediaType, size }) / MiB;
    assert.equal(of('application/vnd.oci.image.layer.v1.tar', MiB), 66);
    assert.equal(of('application/vnd.oci.image.layer.v1.tar+gzip', MiB), 64 + 1032);
    assert.equal(of('application/vnd.oci.image.layer.v1.tar+zstd', MiB), 64 + 1032);
    assert.equal(of('application/vnd.docker.image.rootfs.diff.tar.gzip', MiB), 64 + 1032);
    assert.equal(of('application/vnd.oci.image.layer.v1.tar+gzip', 1024 * MiB), 65_536);
  });
});
