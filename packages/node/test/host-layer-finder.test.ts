/** What a host finds of a layer among what anybody could have published, in a layout in place of a registry. */

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import type { Digest } from '@osguard/formats/oci';
import { digestOfBytes, mediaTypes, rootHashSignatureType } from '@osguard/formats/oci';
import { initKeys, loadKeyring, signRootHash } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import type { ImageStore, PublishedImage } from '@osguard/layers';
import { findVerityImages, openImage, openLayout, readImages, signImage } from '@osguard/layers';
import type { Scratch } from '@osguard/testkit';
import { makeImage, pushBlobBytes, scratch } from '@osguard/testkit';
import { CertificateLayerAuthority } from '../src/snapshotter/authority.ts';
import type { LayerRequest } from '../src/snapshotter/find-layer.ts';
import { HostLayerFinder } from '../src/snapshotter/host-layer-finder.ts';
import type { IncomingLayer } from '../src/snapshotter/layer-store.ts';
import { Revocations } from '../src/snapshotter/revocations.ts';
import { refusalOf } from '../src/snapshotter/start.ts';
import { startFakeContainerd } from './support/containerd.ts';

const layers = [[{ path: 'a', body: 'lower'.repeat(3000) }], [{ path: 'b', body: 'upper' }]];

interface House {
  readonly store: ImageStore;
  readonly keyring: Keyring;
  readonly layer: { readonly digest: Digest; readonly mediaType: string; readonly size: number };
  readonly own: PublishedImage;
  /** Another layer of the same image, as well signed. */
  readonly other: PublishedImage;
  readonly find: (changes?: Partial<LayerRequest>) => Promise<IncomingLayer>;
}

const log = (): void => undefined;

async function house(dir: Scratch): Promise<House & AsyncDisposable> {
  const store = openLayout(dir.file('layout'));
  await makeImage(store, { layers, tag: 'app' });
  const rsaBits = { layers: 2048, usr: 2048 } as const;
  await initKeys(dir.file('keys'), { roles: ['usr', 'layers', 'release'], rsaBits });
  const keyring = await loadKeyring(dir.file('keys'));
  const reference = `oci:${dir.file('layout')}:app`;
  await signImage(await openImage(reference), { signer: await keyring.signer('layers'), threads: 1 });
  const [image] = (await readImages(store, 'app')).images;
  const [lower, upper] = image?.layers ?? [];
  assert.ok(lower && upper);
  const [own] = await findVerityImages(store, lower.descriptor.digest);
  const [other] = await findVerityImages(store, upper.descriptor.digest);
  assert.ok(own && other);
  const release = keyring.certificate('release');
  const revocations = new Revocations({ release, sources: [], kept: dir.file('kept'), log });
  const authority = new CertificateLayerAuthority({ signers: [keyring.certificate('layers')], revocations });
  const containerd = await startFakeContainerd(dir.file('containerd.sock'));
  const finder = new HostLayerFinder({
    containerd: containerd.socket,
    layout: dir.file('layout'),
    credentials: dir.file('none'),
    registries: () => [],
    insecure: [],
    audit: false,
    refusal: (rootHash, signature) => refusalOf(authority, { rootHash, signature }),
    log,
  });
  const { digest, mediaType, size } = lower.descriptor;
  const layer = { digest, mediaType, size };
  const find: House['find'] = (changes = {}) =>
    finder.find({ ...layer, namespace: 'default', output: dir.file('found'), ...changes });
  return { store, keyring, layer, own, other, find, [Symbol.asyncDispose]: () => containerd.close() };
}

/** As anybody who may push can do it. */
async function publish(
  { store, layer }: House,
  artifact: Pick<PublishedImage, 'rootHash' | 'diffId' | 'transport'> & { readonly message: Uint8Array },
): Promise<void> {
  const { rootHash, diffId, transport, message } = artifact;
  const signature = await pushBlobBytes(store, rootHashSignatureType, message);
  const annotations = {
    'io.cncf.notary.layer.digest': layer.digest,
    'io.cncf.notary.dm-verity.root-hash': rootHash,
    'org.osguard.layer.diff-id': diffId,
  };
  const config = await pushBlobBytes(store, mediaTypes.ociEmpty, Buffer.from('{}'));
  const part = ({ mediaType, digest, size }: typeof signature): object => ({
    mediaType,
    digest,
    size,
    annotations,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: transport.mediaType,
    config,
    layers: [part(transport), part(signature)],
    subject: layer,
    annotations: {
      ...annotations,
      'org.osguard.layer.signature': Buffer.from(message).toString('base64'),
    },
  };
  await store.pushManifest(Buffer.from(JSON.stringify(manifest)), { mediaType: mediaTypes.ociManifest });
}

void test('the good image is found behind junk, copies of good signatures and false claims', async () => {
  using dir = scratch('finder');
  await using given = await house(dir);
  const { own, other, store, keyring } = given;
  const [message = new Uint8Array()] = own.signatures;
  const [foreign = new Uint8Array()] = other.signatures;
  for (let n = 0; n < 70; n += 1) await publish(given, { ...own, message: Buffer.from(`junk ${n}`) });
  // A good signature, of an image that is another layer's; once it says so, once it does not.
  await publish(given, { ...other, message: foreign });
  await publish(given, { ...other, diffId: own.diffId, message: foreign });
  // The right signature beside other bytes.
  const rubbish = await pushBlobBytes(store, own.transport.mediaType, Buffer.alloc(5000, 7));
  await publish(given, { ...own, transport: rubbish, message });
  await publish(given, { ...own, message: await signRootHash(await keyring.signer('usr'), own.rootHash) });
  const found = await given.find({ fits: (diffId) => diffId === own.diffId });
  assert.deepEqual([found.rootHash, found.diffId], [own.rootHash, own.diffId]);
  assert.equal(statSync(found.image).size, found.size);
});

void test('what is signed by nobody trusted here is not even fetched, and the reason is told', async () => {
  using dir = scratch('finder');
  await using given = await house(dir);
  const { own, keyring, layer } = given;
  const unsigned = { ...layer, digest: digestOfBytes(Buffer.from('another layer')) };
  await assert.rejects(given.find(unsigned), /is not signed \(looked in: /);
  const transport = { ...own.transport, digest: digestOfBytes(Buffer.from('nowhere')) };
  const message = await signRootHash(await keyring.signer('usr'), own.rootHash);
  await publish({ ...given, layer: unsigned }, { ...own, transport, message });
  await assert.rejects(given.find(unsigned), /may not sign layers on this host/);
});

void test('an image larger than its layer can be is refused before it is written', async () => {
  using dir = scratch('finder');
  await using given = await house(dir);
  const plain = 'application/vnd.oci.image.layer.v1.tar';
  // No layer has so few bytes: so that an image as small as this one is too large for it.
  await assert.rejects(
    given.find({ mediaType: plain, size: -40 * 2 ** 20 }),
    /layer-too-large|at most -\d+ are taken/,
  );
});
