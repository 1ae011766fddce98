/** The distribution project's own registry, with passwords and TLS, and what skopeo makes of what osguard stores. */

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { digestHex, referrersTag } from '@osguard/formats/oci';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import {
  fetchVerityImage,
  findVerityImages,
  openImage,
  readImages,
  signImage,
  verifyImage,
  openLayout,
} from '@osguard/layers';
import type { OpenedImage, RegistryOptions, SignReport, VerifyReport } from '@osguard/layers';
import {
  canRunDockerRegistry,
  judge,
  noDockerRegistry,
  noJudge,
  scratch,
  startDockerRegistry,
  makeImage,
  makeIndex,
} from '@osguard/testkit';
import type { Scratch } from '@osguard/testkit';

const skip = canRunDockerRegistry() ? false : noDockerRegistry;
const skopeo = judge('skopeo');
const files = [
  [{ path: 'bin/a', body: 'first'.repeat(5000), mode: 0o755 }],
  [{ path: 'bin/b', body: 'second' }],
];
const user = { name: 'me', password: 'correct horse' };

async function keys(directory: string): Promise<Keyring> {
  await initKeys(directory, { roles: ['layers'], rsaBits: { layers: 2048 } });
  return loadKeyring(directory);
}

async function withImage<T>(
  reference: string,
  work: (opened: OpenedImage) => Promise<T>,
  options: RegistryOptions = {},
): Promise<T> {
  const opened = await openImage(reference, options);
  try {
    return await work(opened);
  } finally {
    await opened.store.close();
  }
}

async function sign(reference: string, keyring: Keyring, options?: RegistryOptions): Promise<SignReport> {
  const signer = await keyring.signer('layers');
  return withImage(reference, async (opened) => signImage(opened, { signer, threads: 1 }), options);
}

interface Verifying extends RegistryOptions {
  readonly fast?: boolean;
}

async function verify(reference: string, trust: Keyring, options: Verifying = {}): Promise<VerifyReport> {
  const { fast = false, ...registry } = options;
  return withImage(
    reference,
    async (opened) => verifyImage(opened, { trust, fast, at: Date.now(), threads: 1 }),
    registry,
  );
}

function assertVerified(report: VerifyReport): void {
  assert.deepEqual([report.ok, report.reasons], [true, []], JSON.stringify(report.checks, undefined, 1));
}

function states({ images }: SignReport): unknown {
  return images.map(({ layers }) => layers.map(({ state }) => state));
}

/** What `docker login` leaves behind. */
function login(dir: Scratch, host: string): RegistryOptions {
  mkdirSync(dir.file('docker'), { recursive: true });
  const auth = Buffer.from(`${user.name}:${user.password}`).toString('base64');
  writeFileSync(dir.file('docker/config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
  return { env: { DOCKER_CONFIG: dir.file('docker'), HOME: dir.path } };
}

function runSkopeo(...args: readonly string[]): string {
  assert.ok(skopeo);
  const { status, stdout, stderr } = skopeo.run(args);
  assert.equal(status, 0, `skopeo ${args.join(' ')}: ${stderr}`);
  return stdout;
}

suite('docker-registry', { skip }, () => {
  test('push, sign, verify, and nothing happens the second time', async () => {
    using dir = scratch('registry');
    await using registry = await startDockerRegistry({ folder: dir.file('registry') });
    const keyring = await keys(dir.file('keys'));
    const reference = `${registry.host}/team/app:1`;
    await withImage(reference, async ({ store }) => makeImage(store, { layers: files, tag: '1' }));

    const before = await verify(reference, keyring);
    assert.deepEqual([before.ok, before.reasons], [false, ['signature-missing']]);
    const first = await sign(reference, keyring);
    assert.deepEqual(states(first), [['signed', 'signed']]);
    const writes = (): number => registry.log().match(/"(?:PUT|POST|PATCH) /g)?.length ?? 0;
    const written = writes();
    assert.ok(written > 0);
    const second = await sign(reference, keyring);
    assert.deepEqual(states(second), [['kept', 'kept']]);
    assert.equal(second.images[0]?.signatures, first.images[0]?.signatures);
    assert.equal(writes(), written);
    assertVerified(await verify(reference, keyring));
    assertVerified(await verify(reference, keyring, { fast: true }));
    assertVerified(await verify(first.pinned, keyring));
  });

  test('every platform of an index; a layer they share is signed once', async () => {
    using dir = scratch('registry');
    await using registry = await startDockerRegistry({ folder: dir.file('registry') });
    const keyring = await keys(dir.file('keys'));
    const reference = `${registry.host}/app:multi`;
    const other = [files[0] ?? [], [{ path: 'bin/b', body: 'for arm' }]];
    await withImage(reference, async ({ store }) =>
      makeIndex(store, {
        tag: 'multi',
        images: [
          { architecture: 'amd64', layers: files },
          { architecture: 'arm64', layers: other, compression: 'zstd' },
        ],
      }),
    );
    const report = await sign(reference, keyring);
    assert.deepEqual(
      report.images.map(({ platform }) => platform),
      ['linux/amd64', 'linux/arm64'],
    );
    const hashes = report.images.flatMap(({ layers }) => layers.map(({ rootHash }) => rootHash));
    // gzip and zstd of one archive are two layers, but one image.
    assert.equal(new Set(hashes).size, 3);
    assertVerified(await verify(reference, keyring));
  });

  test('a flipped bit in a stored blob is refused', async () => {
    using dir = scratch('registry');
    await using registry = await startDockerRegistry({ folder: dir.file('registry') });
    const keyring = await keys(dir.file('keys'));
    const reference = `${registry.host}/app:1`;
    await withImage(reference, async ({ store }) => makeImage(store, { layers: files, tag: '1' }));
    await sign(reference, keyring);
    await withImage(reference, async ({ store }) => {
      const [image] = (await readImages(store, '1')).images;
      const digest = image?.layers[0]?.descriptor.digest;
      assert.ok(digest);
      const [published] = await findVerityImages(store, digest);
      assert.ok(published);
      for (const broken of [digest, published.transport.digest]) {
        const path = registry.blobPath(digestHex(broken));
        const bytes = readFileSync(path);
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        writeFileSync(path, bytes);
      }
      await assert.rejects(fetchVerityImage(store, published, { output: dir.file('image'), threads: 1 }), {
        name: 'LayerError',
      });
    });
    const report = await verify(reference, keyring);
    assert.deepEqual([report.ok, report.reasons[0]], [false, 'layer-unreadable']);
    assert.equal((await verify(reference, keyring, { fast: true })).ok, false);
  });

  test('passwords: with and without', async () => {
    using dir = scratch('registry');
    await using registry = await startDockerRegistry({ folder: dir.file('registry'), user });
    const reference = `${registry.host}/private/app:1`;
    const known = login(dir, registry.host);
    await withImage(reference, async ({ store }) => makeImage(store, { layers: files, tag: '1' }), known);
    const keyring = await keys(dir.file('keys'));
    await sign(reference, keyring, known);
    assertVerified(await verify(reference, keyring, known));
    const nobody = { env: { HOME: dir.file('nobody') } };
    await assert.rejects(verify(reference, keyring, nobody), { code: 'unauthorized' });
  });

  const openssl = judge('openssl');
  test(
    'TLS by an authority of its own',
    { skip: openssl === undefined ? noJudge('openssl') : false },
    async () => {
      using dir = scratch('registry');
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
      const out = ['-keyout', dir.file('key.pem'), '-out', dir.file('crt.pem')];
      const made = openssl?.run([
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '2',
        ...subject,
        ...out,
      ]);
      assert.equal(made?.status, 0, made?.stderr);
      const tls = { certificate: dir.file('crt.pem'), key: dir.file('key.pem') };
      await using registry = await startDockerRegistry({ folder: dir.file('registry'), tls, user });
      const reference = `${registry.host}/app:1`;
      const options = { ...login(dir, registry.host), ca: [tls.certificate] };
      await withImage(reference, async ({ store }) => makeImage(store, { layers: files, tag: '1' }), options);
      const keyring = await keys(dir.file('keys'));
      await sign(reference, keyring, options);
      assertVerified(await verify(reference, keyring, options));
      // Without the authority there is no falling back to plain HTTP, loopback or not.
      await assert.rejects(verify(reference, keyring, { env: options.env ?? {} }), (error: unknown) => {
        assert.ok(error instanceof Error && 'code' in error && error.code === 'unreachable', String(error));
        assert.match(String(Reflect.get(error, 'hint')), /--ca/);
        return true;
      });
    },
  );
});

suite('skopeo', { skip: skip === false && skopeo === undefined ? noJudge('skopeo') : skip }, () => {
  test('copies what osguard stored, signatures too, and osguard reads what skopeo copied', async () => {
    using dir = scratch('skopeo');
    await using registry = await startDockerRegistry({ folder: dir.file('registry') });
    const keyring = await keys(dir.file('keys'));
    const store = openLayout(dir.file('layout'));
    await makeImage(store, { layers: files, tag: 'app' });
    const reference = `${registry.host}/team/app:1`;
    runSkopeo('copy', '--dest-tls-verify=false', `oci:${dir.file('layout')}:app`, `docker://${reference}`);
    const report = await sign(reference, keyring);
    const inspected = JSON.parse(runSkopeo('inspect', '--tls-verify=false', `docker://${reference}`)) as {
      Digest: string;
      Layers: string[];
    };
    assert.equal(inspected.Digest, report.digest);
    assert.deepEqual(
      inspected.Layers,
      report.images[0]?.layers.map(({ digest }) => digest),
    );

    // skopeo knows nothing of referrers; the tags that stand in for them it copies like any other.
    const image = report.images[0];
    assert.ok(image);
    const subjects = [image.digest, ...image.layers.map((layer) => layer.digest)];
    const from = `${registry.host}/team/app`;
    const copy = ['copy', '--all', '--src-tls-verify=false', '--dest-tls-verify=false'];
    for (const tag of ['1', ...subjects.map(referrersTag)]) {
      runSkopeo(...copy, `docker://${from}:${tag}`, `oci:${dir.file('back')}:${tag}`);
      runSkopeo(...copy, `docker://${from}:${tag}`, `docker://${registry.host}/elsewhere:${tag}`);
    }
    for (const name of [`oci:${dir.file('back')}:1`, `${registry.host}/elsewhere:1`]) {
      assertVerified(await verify(name, keyring));
      assertVerified(await verify(name, keyring, { fast: true }));
      assert.deepEqual(states(await sign(name, keyring)), [['kept', 'kept']]);
    }
  });

  test('archives that skopeo wrote are read without unpacking', async () => {
    using dir = scratch('skopeo');
    const keyring = await keys(dir.file('keys'));
    const store = openLayout(dir.file('layout'));
    await makeImage(store, { layers: files, tag: 'app' });
    const layout = `oci:${dir.file('layout')}:app`;
    runSkopeo('copy', layout, `docker-archive:${dir.file('docker.tar')}:registry.example/team/app:1`);
    runSkopeo('copy', layout, `oci-archive:${dir.file('oci.tar')}:app`);
    copyFileSync(dir.file('oci.tar'), dir.file('copy.tar'));
    const names = [
      `docker-archive:${dir.file('docker.tar')}`,
      `docker-archive:${dir.file('docker.tar')}:registry.example/team/app:1`,
      `docker-archive:${dir.file('docker.tar')}:1`,
      `oci-archive:${dir.file('oci.tar')}:app`,
      dir.file('copy.tar'),
      layout,
    ];
    const { images } = await withImage(layout, async ({ store: from, tag = '' }) => readImages(from, tag));
    const expected = images[0]?.layers.map(({ diffId }) => diffId);
    for (const name of names) {
      const found = await withImage(name, async ({ store: from, tag = '' }) => readImages(from, tag));
      assert.deepEqual(
        found.images[0]?.layers.map(({ diffId }) => diffId),
        expected,
        name,
      );
      const report = await verify(name, keyring);
      assert.deepEqual(report.reasons, ['signature-missing'], name);
      assert.ok(
        report.checks.every(({ id, ok }) => ok || id !== 'root-hash'),
        name,
      );
    }
    await assert.rejects(sign(names[0] ?? '', keyring), { code: 'read-only' });
    await assert.rejects(
      withImage(`${names[0]}:other`, async ({ store: from, tag = '' }) => readImages(from, tag)),
      {
        code: 'not-found',
      },
    );
  });
});
