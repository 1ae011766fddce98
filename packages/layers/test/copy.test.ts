/** Images that take their signatures along, between registries with and without referrers and folders. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { suite, test } from 'node:test';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { copyImage, openImage, openTarget, signImage, verifyImage } from '@osguard/layers';
import type { CopyReport } from '@osguard/layers';
import { judge, makeIndex, scratch, startFakeRegistry } from '@osguard/testkit';

const env = { HOME: '/nonexistent' };
const shared = [{ path: 'a', body: 'shared' }];
const images = [
  { architecture: 'amd64', layers: [shared, [{ path: 'b', body: 'amd64' }]] },
  { architecture: 'arm64', layers: [shared, [{ path: 'b', body: 'arm64' }]] },
];

async function copy(from: string, to: string): Promise<CopyReport> {
  const source = await openImage(from, { env });
  const target = await openTarget(to, { env });
  try {
    return await copyImage(source, target);
  } finally {
    await source.store.close();
    await target.store.close();
  }
}

async function assertVerified(name: string, trust: Keyring): Promise<void> {
  const opened = await openImage(name, { env });
  for (const fast of [false, true]) {
    const { ok, checks } = await verifyImage(opened, { trust, fast, at: Date.now(), threads: 1 });
    assert.ok(ok, JSON.stringify(checks, undefined, 1));
  }
  await opened.store.close();
}

suite('copy', () => {
  test('from a registry without referrers over a folder into one with them', async () => {
    using dir = scratch('copy');
    await initKeys(dir.file('keys'), { roles: ['layers'], rsaBits: { layers: 2048 } });
    const keyring = await loadKeyring(dir.file('keys'));
    await using outside = await startFakeRegistry({ referrers: false });
    await using inside = await startFakeRegistry();
    const first = `${outside.host}/team/app:1`;
    const opened = await openImage(first, { env });
    const { digest } = await makeIndex(opened.store, { images, tag: '1' });
    await signImage(opened, { signer: await keyring.signer('layers'), threads: 1 });
    await opened.store.close();

    const folder = `oci:${dir.file('disk')}:app`;
    const onto = await copy(first, folder);
    // Two images and what BuildKit adds, in one index; two signature manifests, three distinct layers.
    assert.deepEqual([onto.digest, onto.manifests, onto.artifacts], [digest, 4, 5]);
    await assertVerified(folder, keyring);
    const last = `${inside.host}/other/app:2`;
    assert.equal((await copy(folder, last)).digest, digest);
    await assertVerified(last, keyring);
    const writes = inside.requests.filter(({ method }) => method === 'PUT').map(({ path }) => path);
    assert.equal(writes.at(-1), '/v2/other/app/manifests/2');

    const again = await copy(folder, last);
    assert.deepEqual([again.artifacts, again.blobs.copied, again.bytes], [0, 0, 0]);
    const beside = await copy(last, `${inside.host}/third:x`);
    assert.equal(beside.blobs.copied, 0);
    assert.ok(beside.blobs.mounted > 5);
    await assertVerified(`${inside.host}/third:x`, keyring);
  });

  test('a moved tag is still seen at the copy', async () => {
    using dir = scratch('copy');
    await initKeys(dir.file('keys'), { roles: ['layers'], rsaBits: { layers: 2048 } });
    const keyring = await loadKeyring(dir.file('keys'));
    const source = await openTarget(`oci:${dir.file('a')}:1`);
    await makeIndex(source.store, { images, tag: '1' });
    await signImage(source, { signer: await keyring.signer('layers'), threads: 1 });
    await copy(`oci:${dir.file('a')}:1`, `oci:${dir.file('b')}:2`);
    const target = await openImage(`oci:${dir.file('b')}:2`);
    await makeIndex(target.store, {
      images: [{ architecture: 'amd64', layers: [[{ path: 'x', body: 'evil' }]] }],
      tag: '2',
    });
    const { reasons } = await verifyImage(target, { trust: keyring, at: Date.now(), threads: 1 });
    assert.deepEqual(reasons, ['tag-moved', 'signature-missing']);
  });

  test('into archives that skopeo reads, and back with the signatures', async () => {
    using dir = scratch('copy');
    await initKeys(dir.file('keys'), { roles: ['layers'], rsaBits: { layers: 2048 } });
    const keyring = await loadKeyring(dir.file('keys'));
    const source = await openTarget(`oci:${dir.file('a')}:1`);
    const { digest } = await makeIndex(source.store, { images, tag: '1' });
    const { images: signed } = await signImage(source, {
      signer: await keyring.signer('layers'),
      threads: 1,
    });
    const [amd64] = signed;
    assert.ok(amd64);
    const one = `oci:${dir.file('a')}@${amd64.digest}`;
    const whole = `oci-archive:${dir.file('oci.tar')}:app`;
    const docker = `docker-archive:${dir.file('docker.tar')}:registry.example/app:1`;
    assert.equal((await copy(`oci:${dir.file('a')}:1`, whole)).digest, digest);
    assert.equal((await copy(one, docker)).digest, amd64.digest);
    for (const name of [whole, docker]) await assertVerified(name, keyring);
    await assert.rejects(copy(`oci:${dir.file('a')}:1`, `docker-archive:${dir.file('b.tar')}:x`), {
      code: 'input',
    });
    // Nothing half made is left, neither archives nor folders.
    assert.deepEqual(readdirSync(dir.path).sort(), ['a', 'docker.tar', 'keys', 'oci.tar']);
    const skopeo = judge('skopeo');
    if (skopeo === undefined) return;
    for (const name of [whole, docker]) {
      const { status, stdout, stderr } = skopeo.run(['inspect', '--override-arch', 'amd64', name]);
      assert.equal(status, 0, stderr);
      assert.equal((JSON.parse(stdout) as { Layers: unknown[] }).Layers.length, 2);
      const out = skopeo.run([
        'copy',
        '--override-arch',
        'amd64',
        name,
        `dir:${dir.file(`out-${name.length}`)}`,
      ]);
      assert.equal(out.status, 0, out.stderr);
    }
  });
});
