/** What every place that holds images has to do, whatever it is. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOfBytes, encodeManifest, mediaTypes } from '@osguard/formats/oci';
import type { Descriptor } from '@osguard/formats/oci';
import type { ImageStore } from '@osguard/layers';
import { LayerError } from '@osguard/layers';
import { makeImage, pushBlobBytes } from '@osguard/testkit';

export interface Opened extends AsyncDisposable {
  readonly store: ImageStore;
}

async function readAll(store: ImageStore, descriptor: Descriptor, offset = 0): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.blob(descriptor, { offset })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from(text));
}

function fails(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof LayerError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

/** `open` gives an empty store. */
export function storeContract(open: () => Promise<Opened>): void {
  test('a blob is given back, whole and from an offset', async () => {
    await using opened = await open();
    const { store } = opened;
    const bytes = Buffer.from('0123456789'.repeat(1000));
    const blob = await pushBlobBytes(store, mediaTypes.octets, bytes);
    assert.ok(await store.has(blob));
    assert.deepEqual(await readAll(store, blob), bytes);
    assert.deepEqual(await readAll(store, blob, 9990), bytes.subarray(9990));
    assert.equal((await readAll(store, blob, bytes.length)).length, 0);
    assert.equal(await store.pushBlob(blob, () => assert.fail('asked for what is there')), 'exists');
  });

  test('what is not there is missing, and what is not its digest is not stored', async () => {
    await using opened = await open();
    const { store } = opened;
    const blob: Descriptor = {
      mediaType: mediaTypes.octets,
      digest: digestOfBytes(Buffer.from('a')),
      size: 1,
    };
    assert.equal(await store.has(blob), false);
    await assert.rejects(readAll(store, blob), fails('not-found'));
    await assert.rejects(store.manifest(blob.digest), fails('not-found'));
    await assert.rejects(store.manifest('nothing'), fails('not-found'));
    await assert.rejects(
      store.pushBlob(blob, () => bytesOf('b')),
      LayerError,
    );
    assert.equal(await store.has(blob), false);
    await assert.rejects(readAll(store, { ...blob, size: 2 }), LayerError);
  });

  test('a descriptor with the wrong size is refused', async () => {
    await using opened = await open();
    const { store } = opened;
    const blob = await pushBlobBytes(store, mediaTypes.octets, Buffer.from('12345'));
    await assert.rejects(readAll(store, { ...blob, size: 4 }), fails('digest'));
    await assert.rejects(readAll(store, { ...blob, size: 6 }), fails('digest'));
  });

  test('manifests by tag and by digest; a tag can move', async () => {
    await using opened = await open();
    const { store } = opened;
    const first = await makeImage(store, { layers: [[{ path: 'a', body: '1' }]], tag: 'tag' });
    const second = await makeImage(store, { layers: [[{ path: 'a', body: '2' }]], tag: 'tag' });
    assert.equal((await store.manifest('tag')).descriptor.digest, second.digest);
    const old = await store.manifest(first.digest);
    assert.equal(digestOfBytes(old.bytes), first.digest);
    assert.deepEqual(await store.tags(), ['tag']);
  });

  test('referrers of images and of layers, by type, each once', async () => {
    await using opened = await open();
    const { store } = opened;
    const image = await makeImage(store, { layers: [[{ path: 'a', body: '1' }]], tag: 'tag' });
    const { manifest } = await store.manifest('tag');
    assert.ok(manifest.kind === 'manifest');
    const [layer] = manifest.layers;
    assert.ok(layer);
    const config = await pushBlobBytes(store, mediaTypes.ociEmpty, Buffer.from('{}'));
    for (const subject of [image, layer]) {
      assert.deepEqual(await store.referrers(subject.digest), []);
      const made: Descriptor[] = [];
      for (const artifactType of ['application/x.one', 'application/x.two', 'application/x.one']) {
        const annotations = new Map([['kind', artifactType]]);
        const common = { kind: 'manifest', mediaType: mediaTypes.ociManifest, layers: [config] } as const;
        const bytes = encodeManifest({ ...common, artifactType, config, subject, annotations });
        made.push(await store.pushManifest(bytes, { mediaType: mediaTypes.ociManifest }));
      }
      const found = await store.referrers(subject.digest);
      assert.deepEqual(new Set(found.map(({ digest }) => digest)), new Set(made.map(({ digest }) => digest)));
      assert.equal(found.length, 2);
      const [two, ...more] = await store.referrers(subject.digest, { artifactType: 'application/x.two' });
      assert.deepEqual([two?.digest, two?.artifactType, more], [made[1]?.digest, 'application/x.two', []]);
      assert.equal(two?.annotations?.get('kind'), 'application/x.two');
    }
  });
}
