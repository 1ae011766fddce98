/** Everything a verifier has to refuse, each with its own reason, made by hand in an OCI layout. */

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  digestOfBytes,
  encodeManifest,
  mediaTypes,
  rootHashSignatureType,
  signatureAnnotations,
  signatureArtifactTypes,
} from '@osguard/formats/oci';
import type { Descriptor, SignatureLayout } from '@osguard/formats/oci';
import type { OsguardEvent } from '@osguard/events';
import { planSignedData, rootHashContent } from '@osguard/formats/cms';
import { completePlan, initKeys, loadKeyring, signRootHash } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { findVerityImages, openImage, readImages, signImage, verifyImage, openLayout } from '@osguard/layers';
import type { ImageStore, PlatformImage, RefusalReason, VerifyReport } from '@osguard/layers';
import type { Scratch } from '@osguard/testkit';
import { scratch, makeImage, pushBlobBytes } from '@osguard/testkit';
import { encodeVerityArtifact } from '../src/sign/artifact.ts';

const layers = [[{ path: 'a', body: 'lower'.repeat(3000) }], [{ path: 'b', body: 'upper' }]];
const now = Date.UTC(2026, 5, 1);

interface House {
  readonly store: ImageStore;
  readonly reference: string;
  readonly keyring: Keyring;
  readonly dir: Scratch;
}

async function house(dir: Scratch): Promise<House> {
  const store = openLayout(dir.file('layout'));
  await makeImage(store, { layers, tag: 'app' });
  await initKeys(dir.file('keys'), {
    roles: ['usr', 'layers'],
    rsaBits: { layers: 2048, usr: 2048 },
    now: () => now - 1000,
  });
  const keyring = await loadKeyring(dir.file('keys'));
  return { store, reference: `oci:${dir.file('layout')}:app`, keyring, dir };
}

async function sign({ reference, keyring }: House): Promise<void> {
  const signer = await keyring.signer('layers');
  await signImage(await openImage(reference), { signer, threads: 1 });
}

interface Asked {
  readonly reference?: string;
  readonly trust?: Keyring;
  readonly at?: number;
  readonly fast?: boolean;
}

async function verify(given: House, asked: Asked = {}): Promise<VerifyReport> {
  const opened = await openImage(asked.reference ?? given.reference);
  const { trust = given.keyring, at = now, fast = false } = asked;
  return verifyImage(opened, { trust, at, fast, threads: 1 });
}

function assertRefused(report: VerifyReport, ...reasons: RefusalReason[]): void {
  assert.deepEqual(
    [report.ok, report.reasons],
    [false, reasons],
    JSON.stringify(report.checks, undefined, 1),
  );
}

async function image(store: ImageStore): Promise<PlatformImage> {
  const [only] = (await readImages(store, 'app')).images;
  assert.ok(only);
  return only;
}

/** Root hashes in the order of the layers. */
async function rootHashes({ store }: House): Promise<readonly [string, string]> {
  const found: string[] = [];
  for (const { descriptor } of (await image(store)).layers) {
    const [published] = await findVerityImages(store, descriptor.digest);
    found.push(published?.rootHash ?? '');
  }
  const [lower = '', upper = ''] = found;
  return [lower, upper];
}

interface Claim {
  readonly layer: number;
  readonly rootHash: string;
  readonly message: Uint8Array;
}

const shapes: Readonly<
  Record<SignatureLayout, { blob: string; digest: string; hash: string; embedded?: string }>
> = {
  notation: {
    blob: rootHashSignatureType,
    digest: signatureAnnotations.layerDigest,
    hash: signatureAnnotations.rootHash,
  },
  acl: {
    blob: 'application/vnd.cncf.notary.dmverity.layer-signature+pkcs7',
    digest: 'io.cncf.notary.dmverity.layer-digest',
    hash: 'io.cncf.notary.dmverity.layer-roothash',
    embedded: 'io.cncf.notary.dmverity.layer-signature',
  },
  tardev: {
    blob: 'application/vnd.oci.image.layer.v1.erofs.sig',
    digest: 'image.layer.digest',
    hash: 'image.layer.root_hash',
    embedded: 'image.layer.signature',
  },
};

/** What anybody who may push can put beside an image. */
async function publish(
  { store }: House,
  claims: readonly Claim[],
  { layout = 'notation', tag }: { readonly layout?: SignatureLayout; readonly tag?: string } = {},
): Promise<void> {
  const target = await image(store);
  const shape = shapes[layout];
  const blobs: Descriptor[] = [];
  for (const { layer, rootHash, message } of claims) {
    const blob = await pushBlobBytes(store, shape.blob, message);
    const annotations = new Map<string, string>([
      [shape.digest, target.layers[layer]?.descriptor.digest ?? ''],
      [shape.hash, rootHash],
      ...(shape.embedded === undefined
        ? []
        : [[shape.embedded, Buffer.from(message).toString('base64')] as const]),
    ]);
    blobs.push({ ...blob, annotations });
  }
  const config = await pushBlobBytes(store, mediaTypes.ociEmpty, Buffer.from('{}'));
  const bytes = encodeManifest({
    kind: 'manifest',
    mediaType: mediaTypes.ociManifest,
    artifactType: signatureArtifactTypes[layout],
    config,
    layers: blobs,
    subject: target.descriptor,
    annotations: new Map(),
  });
  await store.pushManifest(bytes, { mediaType: mediaTypes.ociManifest, ...(tag !== undefined && { tag }) });
}

/** The same image under another digest, so that nothing is published for it, and its real root hashes. */
async function unsignedTwin(
  dir: Scratch,
): Promise<{ readonly given: House; readonly hashes: readonly [string, string] }> {
  const signed = await house(dir);
  await sign(signed);
  const hashes = await rootHashes(signed);
  const folder = dir.file('twin');
  const store = openLayout(folder);
  await makeImage(store, { layers, tag: 'app' });
  return { given: { ...signed, store, reference: `oci:${folder}:app` }, hashes };
}

suite('refusals', () => {
  test('what was signed is verified, also from what was published', async () => {
    using dir = scratch('refusals');
    const given = await house(dir);
    await sign(given);
    for (const fast of [false, true]) {
      const report = await verify(given, { fast });
      assert.deepEqual([report.ok, report.reasons], [true, []], JSON.stringify(report.checks, undefined, 1));
    }
  });

  test('signature-missing', async () => {
    using dir = scratch('refusals');
    assertRefused(await verify(await house(dir)), 'signature-missing');
  });

  test('tag-moved', async () => {
    using dir = scratch('refusals');
    const given = await house(dir);
    await sign(given);
    const { descriptor } = await image(given.store);
    await makeImage(given.store, { layers: [[{ path: 'evil', body: 'other' }]], tag: 'app' });
    assertRefused(await verify(given), 'tag-moved', 'signature-missing');
    // The digest beside the tag still means the signed image; that the two disagree is said all the same.
    assertRefused(await verify(given, { reference: `${given.reference}@${descriptor.digest}` }), 'tag-moved');
    const byDigest = `oci:${dir.file('layout')}@${descriptor.digest}`;
    assert.ok((await verify(given, { reference: byDigest })).ok);
  });

  test('certificate-expired, and not valid yet', async () => {
    using dir = scratch('refusals');
    const given = await house(dir);
    await sign(given);
    assertRefused(await verify(given, { at: now + 20 * 365 * 86_400_000 }), 'certificate-expired');
    assertRefused(await verify(given, { at: now - 86_400_000 }), 'certificate-expired');
  });

  test('certificate-unknown', async () => {
    using dir = scratch('refusals');
    const given = await house(dir);
    await sign(given);
    await initKeys(dir.file('others'), { roles: ['layers'], rsaBits: { layers: 2048 } });
    assertRefused(
      await verify(given, { trust: await loadKeyring(dir.file('others')) }),
      'certificate-unknown',
    );
  });

  test('certificate-wrong-role', async () => {
    using dir = scratch('refusals');
    const { given, hashes } = await unsignedTwin(dir);
    const usr = await given.keyring.signer('usr');
    const claims = [];
    for (const [layer, rootHash] of hashes.entries()) {
      claims.push({ layer, rootHash, message: await signRootHash(usr, rootHash) });
    }
    await publish(given, claims);
    assertRefused(await verify(given), 'certificate-wrong-role');
  });

  test('signature-of-another-layer, with its own root hash and with the right one', async () => {
    using dir = scratch('refusals');
    const {
      given,
      hashes: [lower, upper],
    } = await unsignedTwin(dir);
    const message = await signRootHash(await given.keyring.signer('layers'), lower);
    await publish(given, [
      { layer: 0, rootHash: lower, message },
      { layer: 1, rootHash: lower, message },
    ]);
    assertRefused(await verify(given), 'signature-of-another-layer');
    await publish(given, [{ layer: 1, rootHash: upper, message }]);
    assertRefused(await verify(given), 'signature-of-another-layer');
  });

  test('root-hash-differs: well signed, but not what the layer gives', async () => {
    using dir = scratch('refusals');
    const {
      given,
      hashes: [lower],
    } = await unsignedTwin(dir);
    const signer = await given.keyring.signer('layers');
    const rootHash = 'ab'.repeat(32);
    await publish(given, [
      { layer: 0, rootHash: lower, message: await signRootHash(signer, lower) },
      { layer: 1, rootHash, message: await signRootHash(signer, rootHash) },
    ]);
    assertRefused(await verify(given), 'root-hash-differs');
  });

  test('signature-invalid and signature-malformed', async () => {
    using dir = scratch('refusals');
    const {
      given,
      hashes: [lower, upper],
    } = await unsignedTwin(dir);
    const signer = await given.keyring.signer('layers');
    const broken = await signRootHash(signer, lower);
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    await publish(given, [
      { layer: 0, rootHash: lower, message: broken },
      { layer: 1, rootHash: upper, message: Buffer.from('no') },
    ]);
    assertRefused(await verify(given), 'signature-invalid', 'signature-malformed');
  });

  test('a signature in the name of a good signer, by another key, with a certificate of its own inside', async () => {
    using dir = scratch('refusals');
    const { given, hashes } = await unsignedTwin(dir);
    await initKeys(dir.file('thief'), { roles: ['layers'], rsaBits: { layers: 2048 } });
    const thief = await (await loadKeyring(dir.file('thief'))).signer('layers');
    const claims = [];
    for (const [layer, rootHash] of hashes.entries()) {
      const plan = planSignedData({
        signer: given.keyring.certificate('layers'),
        digestAlgorithm: 'sha256',
        content: { kind: 'detached', bytes: rootHashContent(rootHash) },
        signedAttributes: false,
        certificates: [thief.certificate],
        envelope: 'content-info',
      });
      claims.push({ layer, rootHash, message: await completePlan(thief, plan) });
    }
    await publish(given, claims);
    assertRefused(await verify(given), 'signature-invalid');
  });

  test('layer-unreadable: a layer that is not the one its config names', async () => {
    using dir = scratch('refusals');
    const given = await house(dir);
    const target = await image(given.store);
    const config = Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: 'amd64',
        rootfs: { type: 'layers', diff_ids: target.layers.map(() => digestOfBytes(Buffer.from('no'))) },
      }),
    );
    const bytes = encodeManifest({
      ...target.manifest,
      config: await pushBlobBytes(given.store, mediaTypes.ociConfig, config),
    });
    await given.store.pushManifest(bytes, { mediaType: mediaTypes.ociManifest, tag: 'app' });
    assertRefused(await verify(given), 'layer-unreadable', 'signature-missing');
  });

  test('an interrupted run goes on where it was', async () => {
    using dir = scratch('refusals');
    const given = await house(dir);
    const signer = await given.keyring.signer('layers');
    const stop = new AbortController();
    const sink = (event: OsguardEvent): void => {
      if (event.type === 'step' && event.state === 'started' && event.title.startsWith('layer 2/2'))
        stop.abort();
    };
    const opened = await openImage(given.reference);
    await assert.rejects(signImage(opened, { signer, threads: 1, sink, signal: stop.signal }), {
      name: 'AbortError',
    });
    assertRefused(await verify(given), 'signature-missing');
    const { images } = await signImage(await openImage(given.reference), { signer, threads: 1 });
    assert.deepEqual(
      images[0]?.layers.map(({ state }) => state),
      ['kept', 'signed'],
    );
    assert.ok((await verify(given)).ok);
  });

  test('one good signature among bad ones is enough', async () => {
    using dir = scratch('refusals');
    const given = await house(dir);
    await sign(given);
    await publish(given, [{ layer: 0, rootHash: 'cd'.repeat(32), message: Buffer.from('no') }]);
    assert.ok((await verify(given)).ok);
  });

  for (const layout of ['acl', 'tardev'] as const) {
    test(`the layout ${layout} is read`, async () => {
      using dir = scratch('refusals');
      const { given, hashes } = await unsignedTwin(dir);
      const signer = await given.keyring.signer('layers');
      const claims = [];
      for (const [layer, rootHash] of hashes.entries()) {
        claims.push({ layer, rootHash, message: await signRootHash(signer, rootHash) });
      }
      await publish(given, claims, { layout });
      const report = await verify(given);
      assert.ok(report.ok, JSON.stringify(report.checks, undefined, 1));
    });
  }

  test('signatures that tardev keeps under tags are found where nothing lists referrers', async () => {
    using dir = scratch('refusals');
    const { given, hashes } = await unsignedTwin(dir);
    const signer = await given.keyring.signer('layers');
    for (const [layer, rootHash] of hashes.entries()) {
      const claim = { layer, rootHash, message: await signRootHash(signer, rootHash) };
      await publish(given, [claim], { layout: 'tardev', tag: `app.tardev.sig-${layer + 1}` });
    }
    const opened = await openImage(given.reference);
    const blind: ImageStore = {
      kind: 'registry',
      name: opened.store.name,
      manifest: async (which) => opened.store.manifest(which),
      has: async (descriptor) => opened.store.has(descriptor),
      blob: (descriptor, options) => opened.store.blob(descriptor, options),
      pushBlob: async () => assert.fail('nothing is pushed'),
      pushManifest: async () => assert.fail('nothing is pushed'),
      referrers: async () => Promise.resolve([]),
      tags: async () => opened.store.tags(),
      close: async () => opened.store.close(),
    };
    const report = await verifyImage(
      { ...opened, store: blind },
      { trust: given.keyring, at: now, threads: 1 },
    );
    assert.ok(report.ok, JSON.stringify(report.checks, undefined, 1));
  });

  test('a published image of another layer does not pass as the fast way', async () => {
    using dir = scratch('refusals');
    const given = await house(dir);
    await sign(given);
    const target = await image(given.store);
    const [lower, upper] = target.layers;
    assert.ok(lower && upper);
    const [of] = await findVerityImages(given.store, lower.descriptor.digest);
    assert.ok(of);
    const other = openLayout(dir.file('other'));
    await makeImage(other, { layers, tag: 'app' });
    const house2 = { ...given, store: other, reference: `oci:${dir.file('other')}:app` };
    await other.pushBlob(of.transport, () => given.store.blob(of.transport));
    const message = of.signatures[0] ?? new Uint8Array();
    const signature = await pushBlobBytes(other, rootHashSignatureType, message);
    await pushBlobBytes(other, mediaTypes.ociEmpty, Buffer.from('{}'));
    for (const { descriptor, diffId } of target.layers) {
      const bytes = encodeVerityArtifact({ ...of, layer: descriptor, diffId, signatures: [signature] });
      await other.pushManifest(bytes, { mediaType: mediaTypes.ociManifest });
    }
    assertRefused(await verify(house2, { fast: true }), 'signature-of-another-layer');
  });
});
