import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';

import { scratch } from '@osguard/testkit';

import type { Definition } from '../src/definition/index.ts';
import { parseDefinition } from '../src/definition/index.ts';
import { ImageError } from '../src/error.ts';
import {
  encodeLock,
  fetchPackages,
  lockDigest,
  lockFits,
  packageRequest,
  parseLock,
} from '../src/packages/index.ts';
import type { Lock, LockedPackage, Mirrors } from '../src/packages/index.ts';
import { withFolderLock } from '../src/process/folder-lock.ts';

const bodies = new Map([
  ['alpha', Buffer.from('alpha package')],
  ['beta', Buffer.alloc(300_000, 7)],
]);

function locked(name: string): LockedPackage {
  const bytes = bodies.get(name) ?? Buffer.alloc(0);
  return {
    name,
    version: '1:2.0-1',
    architecture: 'all',
    archive: 'debian',
    path: `pool/main/${name[0]}/${name}_2.0-1_all.deb`,
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    stage: 'base',
  };
}

function lockOf(...names: string[]): Lock {
  return {
    schema: 'osguard-lock/v1',
    architecture: 'amd64',
    suite: 'trixie',
    time: 1_700_000_000,
    request: { base: ['alpha'], extra: [] },
    packages: names.map(locked),
  };
}

async function serve(listener: RequestListener): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createServer(listener);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  server.listen(0, '127.0.0.1', () => resolve(undefined));
  await promise;
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      const closed = Promise.withResolvers<undefined>();
      server.close(() => closed.resolve(undefined));
      await closed.promise;
    },
  };
}

function mirrorsAt(debian: string, snapshot?: string): () => Promise<Mirrors> {
  return () =>
    Promise.resolve({
      bases: { debian },
      snapshots: snapshot === undefined ? {} : { debian: snapshot },
      keyring: '',
    });
}

const good: RequestListener = (request, response) => {
  const name = /\/([a-z]+)_/.exec(request.url ?? '')?.[1] ?? '';
  const bytes = bodies.get(name);
  response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
};

test('a lock is the same text whatever order its packages came in, and reads back', () => {
  const text = encodeLock(lockOf('beta', 'alpha'));
  assert.equal(text, encodeLock(lockOf('alpha', 'beta')));
  assert.equal(encodeLock(parseLock(text)), text);
  assert.equal(text.split('\n').filter((line) => line.includes('sha256')).length, 2);
  assert.match(lockDigest(lockOf('alpha')), /^[0-9a-f]{64}$/);
});

test('what is not a lock is refused', () => {
  const text = encodeLock(lockOf('alpha'));
  const spoiled = [
    '',
    '[]',
    '{"schema":"osguard-lock/v2"}',
    text.replace('pool/main', '../main'),
    text.replace('pool/main/a', 'pool/../../etc'),
    text.replace('"sha256":"', '"sha256":"x'),
    text.replace('"stage":"base"', '"stage":"other"'),
    text.replace('"size":', '"size":-'),
    encodeLock(lockOf('alpha', 'alpha')),
  ];
  for (const bad of spoiled) {
    assert.throws(
      () => parseLock(bad),
      (error) => error instanceof ImageError && error.code === 'package',
      bad,
    );
  }
});

function parse(extra: string): Definition {
  return parseDefinition(`schema: osguard/v1\nname: a\nversion: "1"\n${extra}`).definition;
}

test('a lock fits only the definition it was made for', () => {
  const definition = parse('packages: [curl]');
  const lock: Lock = { ...lockOf('alpha'), request: packageRequest(definition) };
  assert.equal(lockFits(lock, definition), true);
  assert.equal(lockFits(lock, parse('packages: [curl, htop]')), false);
  assert.equal(lockFits(lock, parse('packages: [curl]\nkernel: {line: "6.12"}')), false);
});

test('packages are fetched once, checked, and fetched again when the cache is damaged', async () => {
  using folder = scratch('packages');
  let requests = 0;
  await using server = await serve((request, response) => {
    requests += 1;
    good(request, response);
  });
  const options = { cacheFolder: folder.path, mirrors: mirrorsAt(server.url) };
  const lock = lockOf('alpha', 'beta');
  const files = await fetchPackages(lock, options);
  assert.equal(readFileSync(files.get('alpha') ?? '').toString(), 'alpha package');
  await fetchPackages(lock, { ...options, mirrors: () => assert.fail('nothing is missing') });
  assert.equal(requests, 2);
  writeFileSync(files.get('alpha') ?? '', 'alpha packagE');
  await fetchPackages(lock, options);
  assert.equal(requests, 3);
  assert.deepEqual(
    readdirSync(folder.file('packages')).filter((leaf) => leaf.endsWith('.tmp')),
    [],
  );
});

test('a package that is gone comes from the snapshot, or is named with the places asked', async () => {
  using folder = scratch('packages');
  await using gone = await serve((_request, response) => response.writeHead(404).end());
  await using server = await serve(good);
  const options = { cacheFolder: folder.path };
  await fetchPackages(lockOf('alpha'), { ...options, mirrors: mirrorsAt(gone.url, server.url) });
  await assert.rejects(
    fetchPackages(lockOf('beta'), { ...options, mirrors: mirrorsAt(gone.url) }),
    (error) => {
      assert.ok(error instanceof ImageError);
      assert.match(
        error.message,
        /beta 1:2\.0-1 cannot be had:\n.*beta_2\.0-1_all\.deb: the server answered 404/,
      );
      return true;
    },
  );
});

test('other bytes than the locked ones are refused, and the network is asked again when it breaks', async () => {
  using folder = scratch('packages');
  await using liar = await serve((_request, response) => response.writeHead(200).end(Buffer.alloc(13)));
  await assert.rejects(
    fetchPackages(lockOf('alpha'), { cacheFolder: folder.path, mirrors: mirrorsAt(liar.url) }),
    /sha256 is [0-9a-f]{64}, the lock says/,
  );
  let requests = 0;
  await using flaky = await serve((request, response) => {
    requests += 1;
    if (requests === 1)
      response.writeHead(200, { 'content-length': '300000' }).write('x', () => response.destroy());
    else good(request, response);
  });
  await fetchPackages(lockOf('beta'), { cacheFolder: folder.path, mirrors: mirrorsAt(flaky.url) });
  assert.equal(requests, 2);
});

test('redirects are followed but never to files', async () => {
  using folder = scratch('packages');
  await using server = await serve((request, response) => {
    if (request.url?.startsWith('/real/') === true) good(request, response);
    else response.writeHead(302, { location: `/real${request.url}` }).end();
  });
  await fetchPackages(lockOf('alpha'), { cacheFolder: folder.path, mirrors: mirrorsAt(server.url) });
  await using trap = await serve((_request, response) =>
    response.writeHead(302, { location: 'file:///etc/hostname' }).end(),
  );
  const options = { cacheFolder: folder.file('other'), mirrors: mirrorsAt(trap.url), parallel: 1 };
  await assert.rejects(fetchPackages(lockOf('alpha'), options), /redirected to a file/);
});

test('a file mirror works without a server', async () => {
  using folder = scratch('packages');
  mkdirSync(folder.file('mirror/pool/main/a'), { recursive: true });
  writeFileSync(folder.file(`mirror/${locked('alpha').path}`), bodies.get('alpha') ?? '');
  const files = await fetchPackages(lockOf('alpha'), {
    cacheFolder: folder.file('cache'),
    mirrors: mirrorsAt(`file://${folder.file('mirror')}`),
  });
  assert.equal(readFileSync(files.get('alpha') ?? '').toString(), 'alpha package');
});

test('an abort ends a download', async () => {
  using folder = scratch('packages');
  await using silent = await serve(() => undefined);
  const signal = AbortSignal.timeout(50);
  await assert.rejects(
    fetchPackages(lockOf('alpha'), { cacheFolder: folder.path, mirrors: mirrorsAt(silent.url), signal }),
  );
});

test('one at a time in a locked folder; the lock of a dead process does not block', async () => {
  using folder = scratch('lock');
  let inside = 0;
  const work = async (): Promise<void> => {
    inside += 1;
    assert.equal(inside, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    inside -= 1;
  };
  writeFileSync(folder.file('.lock'), '4194304999');
  await Promise.all([1, 2, 3].map(() => withFolderLock(folder.path, {}, work)));
});
