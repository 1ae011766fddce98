/** The client against a registry that takes the specification at its word, and misbehaves as registries do. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { inspect } from 'node:util';
import { digestOfBytes, encodeManifest, mediaTypes, referrersTag } from '@osguard/formats/oci';
import type { Descriptor } from '@osguard/formats/oci';
import { LayerError, openRegistry, Secret } from '@osguard/layers';
import type { Credentials, ImageStore, RegistryOptions } from '@osguard/layers';
import { scratch, startFakeRegistry, makeImage, pushBlobBytes } from '@osguard/testkit';
import type { FakeRegistry } from '@osguard/testkit';
import { findCredentials } from '../src/registry/credentials.ts';
import { isLoopback } from '../src/registry/http.ts';
import { retryAfter } from '../src/registry/retry.ts';

const repository = 'team/app';
const waits: number[] = [];
const quick: RegistryOptions = {
  env: { HOME: '/nonexistent' },
  retry: {
    random: () => 1,
    pause: async (milliseconds) => {
      waits.push(milliseconds);
      return Promise.resolve();
    },
  },
};
const password: Credentials = { kind: 'password', username: 'me', password: new Secret('p:w ü') };

async function open(
  registry: FakeRegistry,
  options: RegistryOptions = {},
): Promise<ImageStore & AsyncDisposable> {
  const store = await openRegistry({ registry: registry.host, repository }, { ...quick, ...options });
  return Object.assign(store, { [Symbol.asyncDispose]: async () => store.close() });
}

async function read(store: ImageStore, descriptor: Descriptor, offset = 0): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.blob(descriptor, { offset })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function bytesOf(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 7) % 251));
}

async function artifact(store: ImageStore, subject: Descriptor, artifactType: string): Promise<Descriptor> {
  const config = await pushBlobBytes(store, mediaTypes.ociEmpty, Buffer.from('{}'));
  const bytes = encodeManifest({
    kind: 'manifest',
    mediaType: mediaTypes.ociManifest,
    artifactType,
    config,
    layers: [],
    subject,
    annotations: new Map([['a', 'b']]),
  });
  return store.pushManifest(bytes, { mediaType: mediaTypes.ociManifest });
}

const credentials = async (): Promise<Credentials> => Promise.resolve(password);

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function find(config: unknown, registry: string, repo = 'a/b'): Promise<Credentials | undefined> {
  using dir = scratch('config');
  writeFileSync(dir.file('config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  return await findCredentials(
    { registry, repository: repo },
    { env: { DOCKER_CONFIG: dir.path, HOME: dir.path } },
  );
}

function show(found: Credentials | undefined): string {
  if (found === undefined) return 'none';
  return found.kind === 'password'
    ? `${found.username}:${found.password.reveal()}`
    : `${found.kind} ${found.token.reveal()}`;
}

suite('blobs', () => {
  test('pushed once, read back, also from the middle', async () => {
    await using registry = await startFakeRegistry();
    await using store = await open(registry);
    const bytes = bytesOf(100_000);
    const blob = await pushBlobBytes(store, mediaTypes.octets, bytes);
    assert.equal(await store.pushBlob(blob, () => assert.fail('asked again')), 'exists');
    assert.deepEqual(await read(store, blob), bytes);
    assert.deepEqual(await read(store, blob, 99_000), bytes.subarray(99_000));
    const empty = await pushBlobBytes(store, mediaTypes.octets, new Uint8Array());
    assert.equal((await read(store, empty)).length, 0);
  });

  test('in chunks, as large as the registry wants them', async () => {
    for (const minChunk of [undefined, 5000]) {
      await using registry = await startFakeRegistry(minChunk === undefined ? {} : { minChunk });
      await using store = await open(registry, { chunkSize: 3000 });
      const bytes = bytesOf(10_000);
      await pushBlobBytes(store, mediaTypes.octets, bytes);
      assert.deepEqual(registry.blobs.get(digestOfBytes(bytes)), bytes);
      const patches = registry.requests.filter(({ method }) => method === 'PATCH').length;
      assert.equal(patches, minChunk === undefined ? 4 : 2);
    }
  });

  test('an upload goes on after cut connections and after chunks that arrived unnoticed', async () => {
    await using registry = await startFakeRegistry({
      fault: ({ method, count }) => {
        if (method === 'PATCH' && count === 2) return { kind: 'cut', after: 100 };
        if (method === 'PATCH' && count === 4) return { kind: 'status', status: 503 };
        return method === 'PUT' && count === 1 ? { kind: 'status', status: 502 } : undefined;
      },
    });
    await using store = await open(registry, { chunkSize: 3000 });
    const bytes = bytesOf(10_000);
    await pushBlobBytes(store, mediaTypes.octets, bytes);
    assert.deepEqual(registry.blobs.get(digestOfBytes(bytes)), bytes);
    assert.equal(
      registry.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('uploads/')).length,
      1,
    );
  });

  test('an upload whose answer is lost is not sent again, and 429 is waited for', async () => {
    waits.length = 0;
    await using registry = await startFakeRegistry({
      fault: ({ method, count }) => {
        if (method === 'PATCH' && count === 1) {
          return { kind: 'status', status: 429, headers: { 'retry-after': '3' } };
        }
        return method === 'PUT' ? { kind: 'lost-answer' } : undefined;
      },
    });
    await using store = await open(registry, { chunkSize: 3000 });
    const bytes = bytesOf(5000);
    await pushBlobBytes(store, mediaTypes.octets, bytes);
    assert.deepEqual(registry.blobs.get(digestOfBytes(bytes)), bytes);
    assert.equal(registry.requests.filter(({ method }) => method === 'PUT').length, 1);
    assert.ok(waits.includes(3000), String(waits));
  });

  test('a large upload leaves nothing waiting on its connection', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    await using registry = await startFakeRegistry();
    await using store = await open(registry);
    const bytes = bytesOf(16 * 1024 * 1024);
    const descriptor = { mediaType: mediaTypes.octets, digest: digestOfBytes(bytes), size: bytes.length };
    await store.pushBlob(descriptor, async function* () {
      for (let at = 0; at < bytes.length; at += 65_536)
        yield await Promise.resolve(bytes.subarray(at, at + 65_536));
    });
    process.off('warning', warned);
    assert.deepEqual(warnings, []);
  });

  test('mounted from another repository, or pushed when that has it not', async () => {
    await using registry = await startFakeRegistry();
    await using store = await open(registry);
    const blob = await pushBlobBytes(store, mediaTypes.octets, bytesOf(10));
    const other = await openRegistry({ registry: registry.host, repository: 'other' }, quick);
    assert.equal(await other.pushBlob(blob, () => assert.fail('sent'), { mountFrom: repository }), 'mounted');
    const third = await openRegistry({ registry: registry.host, repository: 'third' }, quick);
    const again = async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(bytesOf(10));
    };
    assert.equal(await third.pushBlob(blob, again, { mountFrom: 'nobody' }), 'pushed');
    await other.close();
    await third.close();
  });

  test('a download goes on where it broke off, with and without ranges', async () => {
    for (const kind of ['ranges', 'no ranges']) {
      await using registry = await startFakeRegistry({
        fault: ({ method, path, count }) => {
          if (method !== 'GET' || !path.includes('/blobs/')) return undefined;
          if (count <= 3) return { kind: 'cut', after: 20_000 * count };
          return kind === 'ranges' ? undefined : { kind: 'no-range' };
        },
      });
      await using store = await open(registry);
      const bytes = bytesOf(200_000);
      const blob = await pushBlobBytes(store, mediaTypes.octets, bytes);
      assert.deepEqual(await read(store, blob), bytes, kind);
      const ranges = registry.requests.map(({ range }) => range).filter((range) => range !== undefined);
      assert.ok(ranges.length >= 1 && ranges.every((range) => range !== 'bytes=0-'), String(ranges));
    }
  });

  for (const kind of ['corrupt', 'longer'] as const) {
    test(`content that is ${kind} is refused before its end`, async () => {
      await using registry = await startFakeRegistry({
        fault: ({ method, path }) => (method === 'GET' && path.includes('/blobs/') ? { kind } : undefined),
      });
      await using store = await open(registry);
      const blob = await pushBlobBytes(store, mediaTypes.octets, bytesOf(1000));
      await assert.rejects(read(store, blob), { name: 'LayerError', code: 'digest' });
    });
  }

  test('a registry that always cuts is given up', async () => {
    await using registry = await startFakeRegistry({
      fault: ({ method, path }) =>
        method === 'GET' && path.includes('/blobs/') ? { kind: 'cut', after: 0 } : undefined,
    });
    await using store = await open(registry);
    const blob = await pushBlobBytes(store, mediaTypes.octets, bytesOf(1000));
    await assert.rejects(read(store, blob), { name: 'LayerError', code: 'unreachable' });
  });
});

suite('manifests and lists', () => {
  test('tags over several pages', async () => {
    await using registry = await startFakeRegistry({ pageSize: 2 });
    await using store = await open(registry);
    for (const tag of ['a', 'b', 'c', 'd', 'e']) await makeImage(store, { layers: [], tag });
    assert.deepEqual(await store.tags(), ['a', 'b', 'c', 'd', 'e']);
  });

  for (const referrers of [true, false]) {
    test(`referrers ${referrers ? 'over the API' : 'through the tag that stands in for it'}`, async () => {
      await using registry = await startFakeRegistry({ referrers, pageSize: 2 });
      await using store = await open(registry);
      const image = await makeImage(store, { layers: [], tag: 'a' });
      assert.deepEqual(await store.referrers(image.digest), []);
      const made: Descriptor[] = [];
      for (const number of [1, 2, 3]) made.push(await artifact(store, image, `application/x.${number}`));
      const found = await store.referrers(image.digest);
      assert.deepEqual(found.map(({ digest }) => digest).sort(), made.map(({ digest }) => digest).sort());
      const [second] = await store.referrers(image.digest, { artifactType: 'application/x.2' });
      assert.equal(second?.digest, made[1]?.digest);
      assert.equal(second?.annotations?.get('a'), 'b');
      assert.equal((await store.tags()).includes(referrersTag(image.digest)), !referrers);
      // Recorded once, however often it is pushed.
      await artifact(store, image, 'application/x.1');
      assert.equal((await store.referrers(image.digest)).length, 3);
    });
  }

  test('a manifest that is not its digest is refused', async () => {
    await using registry = await startFakeRegistry({
      fault: ({ path, method }) =>
        method === 'GET' && path.includes('/manifests/') ? { kind: 'corrupt' } : undefined,
    });
    await using store = await open(registry);
    await makeImage(store, { layers: [], tag: 'a' });
    await assert.rejects(store.manifest('a'), { code: 'digest' });
  });

  test('what is not there', async () => {
    await using registry = await startFakeRegistry();
    await using store = await open(registry);
    await assert.rejects(store.manifest('nothing'), { code: 'not-found' });
    await assert.rejects(store.manifest('../../x'), { code: 'input' });
  });
});

suite('trying again', () => {
  test('429 with Retry-After, and 503 without', async () => {
    waits.length = 0;
    await using registry = await startFakeRegistry({
      fault: ({ path, count }) => {
        if (!path.includes('/manifests/a')) return undefined;
        if (count === 2) return { kind: 'status', status: 429, headers: { 'retry-after': '7' } };
        return count === 3 ? { kind: 'status', status: 503 } : undefined;
      },
    });
    await using store = await open(registry);
    await makeImage(store, { layers: [], tag: 'a' });
    await store.manifest('a');
    await store.manifest('a');
    assert.ok(waits.includes(7000), String(waits));
  });

  test('nobody waits for hours, and 400 is an answer', async () => {
    for (const [status, code, tries] of [
      [429, 'unreachable', 1],
      [400, 'registry', 1],
      [500, 'unreachable', 5],
    ] as const) {
      await using registry = await startFakeRegistry({
        fault: ({ path }) =>
          path.includes('/manifests/')
            ? { kind: 'status', status, ...(status === 429 && { headers: { 'retry-after': '7200' } }) }
            : undefined,
      });
      await using store = await open(registry);
      await assert.rejects(store.manifest('a'), { code });
      assert.equal(registry.requests.filter(({ path }) => path.includes('/manifests/')).length, tries);
    }
  });

  test('Retry-After in both forms', () => {
    assert.equal(retryAfter('120'), 120_000);
    assert.equal(retryAfter('Thu, 01 Jan 1970 00:00:10 GMT', 4000), 6000);
    assert.equal(retryAfter('soon'), undefined);
  });

  test('an abort ends it at once', async () => {
    await using registry = await startFakeRegistry({ fault: () => ({ kind: 'status', status: 503 }) });
    await using store = await open(registry, { retry: { firstDelay: 60_000 } });
    const signal = AbortSignal.timeout(50);
    await assert.rejects(store.manifest('a', { signal }), { name: /AbortError|TimeoutError/ });
  });
});

suite('credentials', () => {
  test('basic', async () => {
    await using registry = await startFakeRegistry({
      auth: { kind: 'basic', user: 'me', password: 'p:w ü' },
    });
    await using store = await open(registry, { credentials });
    await makeImage(store, { layers: [[{ path: 'a', body: 'b' }]], tag: 'a' });
    await store.manifest('a');
    await using stranger = await open(registry, { credentials: async () => Promise.resolve(undefined) });
    await assert.rejects(stranger.manifest('a'), { code: 'unauthorized', message: /there are none/ });
  });

  test('bearer, with tokens that expire in the middle', async () => {
    await using registry = await startFakeRegistry({
      auth: { kind: 'bearer', user: 'me', password: 'p:w ü', uses: 2 },
    });
    await using store = await open(registry, { credentials });
    await makeImage(store, { layers: [[{ path: 'a', body: 'b' }]], tag: 'a' });
    const { manifest } = await store.manifest('a');
    assert.ok(manifest.kind === 'manifest');
    for (const layer of manifest.layers) await read(store, layer);
  });

  test('wrong ones are an error that does not repeat them', async () => {
    for (const auth of [
      { kind: 'basic', user: 'me', password: 'other' },
      { kind: 'bearer', user: 'me', password: 'other', uses: 9 },
    ] as const) {
      await using registry = await startFakeRegistry({ auth });
      await using store = await open(registry, { credentials });
      await assert.rejects(store.manifest('a'), (error: unknown) => {
        assert.ok(error instanceof LayerError && error.code === 'unauthorized', String(error));
        assert.doesNotMatch(inspect(error, { depth: 9 }), /p:w|cDp3/);
        return true;
      });
    }
  });

  test('never go to another host, and neither does the token', async () => {
    await using store2 = await startFakeRegistry();
    await using registry = await startFakeRegistry({
      auth: { kind: 'basic', user: 'me', password: 'p:w ü' },
      redirectBlobsTo: store2.origin,
    });
    await using behind = await open(store2);
    const bytes = bytesOf(5000);
    await pushBlobBytes(behind, mediaTypes.octets, bytes);
    await using store = await open(registry, { credentials });
    const blob = await pushBlobBytes(store, mediaTypes.octets, bytes);
    assert.deepEqual(await read(store, blob), bytes);
    const redirected = store2.requests.filter(({ query }) => query.includes('signature='));
    assert.deepEqual(
      redirected.map(({ authorization }) => authorization),
      [undefined],
    );
  });

  test('a host that was redirected to gets no answer to its challenge, and its URL is not repeated', async () => {
    await using store2 = await startFakeRegistry({ auth: { kind: 'basic', user: 'me', password: 'p:w ü' } });
    await using registry = await startFakeRegistry({
      auth: { kind: 'basic', user: 'me', password: 'p:w ü' },
      redirectBlobsTo: store2.origin,
    });
    await using store = await open(registry, { credentials });
    const blob = await pushBlobBytes(store, mediaTypes.octets, bytesOf(10));
    await assert.rejects(read(store, blob), (error: unknown) => {
      assert.ok(error instanceof LayerError && error.code === 'unauthorized');
      assert.doesNotMatch(inspect(error), /secret-of-the-store/);
      return true;
    });
    assert.ok(store2.requests.every(({ authorization }) => authorization === undefined));
  });

  test('a token server elsewhere without TLS is refused', async () => {
    await using registry = await startFakeRegistry({
      fault: ({ path }) =>
        path === '/v2/'
          ? undefined
          : {
              kind: 'status',
              status: 401,
              headers: { 'www-authenticate': 'Bearer realm="http://token.example/t",service="s"' },
            },
    });
    await using store = await open(registry, { credentials });
    await assert.rejects(store.manifest('a'), { code: 'insecure' });
  });

  test('a secret is not shown', () => {
    const shown = `${inspect(password)} ${JSON.stringify(password)} ${String(new Secret('hidden'))}`;
    assert.doesNotMatch(shown, /p:w|hidden/);
  });
});

suite('docker config.json', () => {
  test('auths by host, URL, hub and path', async () => {
    const auths = {
      'r.example:5000': { auth: base64('u:p:with:colons') },
      'https://index.docker.io/v1/': { auth: base64('hub:x') },
      'https://old.example/v2/': { username: 'n', password: 'm' },
      'p.example/team/app': { auth: base64('app:1') },
      'p.example/team': { auth: base64('team:2') },
      't.example': { auth: base64('<token>:'), identitytoken: 'refresh' },
      'empty.example': {},
    };
    assert.equal(show(await find({ auths }, 'r.example:5000')), 'u:p:with:colons');
    assert.equal(show(await find({ auths }, 'docker.io')), 'hub:x');
    assert.equal(show(await find({ auths }, 'old.example')), 'n:m');
    assert.equal(show(await find({ auths }, 'p.example', 'team/app')), 'app:1');
    assert.equal(show(await find({ auths }, 'p.example', 'team/other')), 'team:2');
    assert.equal(show(await find({ auths }, 't.example')), 'identity-token refresh');
    assert.equal(show(await find({ auths }, 'empty.example')), 'none');
    assert.equal(show(await find({ auths }, 'elsewhere.example')), 'none');
    await assert.rejects(find('{', 'r.example'), { code: 'input' });
  });

  test('credential helpers: found, not found, broken, missing', async () => {
    using dir = scratch('helper');
    mkdirSync(dir.file('bin'));
    const helper = (name: string, script: string): void => {
      const path = dir.file(`bin/docker-credential-${name}`);
      writeFileSync(path, `#!/bin/sh\n${script}\n`);
      chmodSync(path, 0o755);
    };
    helper(
      'good',
      'read server; echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"u\\",\\"Secret\\":\\"for $server\\"}"',
    );
    helper('token', `echo '{"Username":"<token>","Secret":"refresh"}'`);
    helper('none', `echo 'credentials not found in native keychain'; exit 1`);
    helper('broken', `echo 'the keychain is locked'; exit 1`);
    const env = { DOCKER_CONFIG: dir.path, HOME: dir.path, PATH: `${dir.file('bin')}:/usr/bin:/bin` };
    const config = {
      credsStore: 'good',
      credHelpers: {
        't.example': 'token',
        'n.example': 'none',
        'b.example': 'broken',
        'm.example': 'missing',
        'x.example': '../x',
      },
      auths: { 'n.example': { auth: base64('file:1') } },
    };
    writeFileSync(dir.file('config.json'), JSON.stringify(config));
    const ask = async (registry: string): Promise<string> =>
      show(await findCredentials({ registry, repository: 'a' }, { env }));
    assert.equal(await ask('s.example'), 'u:for s.example');
    assert.equal(await ask('docker.io'), 'u:for https://index.docker.io/v1/');
    assert.equal(await ask('t.example'), 'identity-token refresh');
    assert.equal(await ask('n.example'), 'file:1');
    await assert.rejects(ask('b.example'), { code: 'credential-helper', message: /keychain is locked/ });
    await assert.rejects(ask('m.example'), { code: 'credential-helper', message: /cannot be started/ });
    await assert.rejects(ask('x.example'), { code: 'input' });
  });
});

suite('where to', () => {
  test('mirrors are asked first, and passed over when they lack something', async () => {
    await using registry = await startFakeRegistry();
    await using mirror = await startFakeRegistry();
    await using store = await open(registry);
    const image = await makeImage(store, { layers: [[{ path: 'a', body: 'b' }]], tag: 'a' });
    await using there = await open(mirror);
    await makeImage(there, { layers: [], tag: 'only-there' });
    await using both = await open(registry, { mirrors: new Map([[registry.host, [mirror.host]]]) });
    const { descriptor, manifest } = await both.manifest('a');
    assert.equal(descriptor.digest, image.digest);
    assert.ok(manifest.kind === 'manifest' && manifest.layers[0] !== undefined);
    assert.ok((await read(both, manifest.layers[0])).length > 0);
    assert.ok((await both.manifest('only-there')).manifest.kind === 'manifest');
    assert.ok(mirror.requests.some(({ path }) => path.endsWith('/manifests/a')));
  });

  test('a proxy of the environment is used, but not for this machine', async () => {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(403).end();
    });
    proxy.on('connect', (request, socket) => {
      asked.push(`CONNECT ${request.url}`);
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const address = proxy.address();
    assert.ok(address !== null && typeof address === 'object');
    const url = `http://127.0.0.1:${address.port}`;
    const env = { ...quick.env, HTTPS_PROXY: url, http_proxy: url };
    const store = await openRegistry({ registry: 'registry.example', repository }, { ...quick, env });
    await assert.rejects(store.manifest('a'), { code: 'unreachable' });
    await store.close();
    assert.deepEqual([...new Set(asked)], ['CONNECT registry.example:443']);
    await using registry = await startFakeRegistry();
    await using local = await open(registry, { env });
    await assert.rejects(local.manifest('a'), { code: 'not-found' });
    assert.equal(new Set(asked).size, 1);
    proxy.closeAllConnections();
    proxy.close();
  });

  test('plain HTTP is for loopback', async () => {
    for (const host of ['localhost', 'localhost:5000', '127.9.8.7:1', '[::1]:2', 'a.localhost'])
      assert.ok(isLoopback(host), host);
    for (const host of [
      'localhost.example',
      '128.0.0.1',
      '10.0.0.1:5000',
      'notlocalhost',
      '127.0.0.1.example',
    ]) {
      assert.ok(!isLoopback(host), host);
    }
    const store = await openRegistry({ registry: 'no-such-host.invalid', repository }, quick);
    await assert.rejects(store.manifest('a'), { code: 'unreachable' });
    await store.close();
  });
});
