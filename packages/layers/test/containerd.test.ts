/** containerd pulls what osguard signed: same digests, same content, and nothing of the signatures in its way. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { initKeys, loadKeyring } from '@osguard/keys';
import { openImage, readImages, signImage } from '@osguard/layers';
import type { Scratch } from '@osguard/testkit';
import {
  canRunDockerRegistry,
  judge,
  makeIndex,
  noDockerRegistry,
  noJudge,
  scratch,
  startDockerRegistry,
} from '@osguard/testkit';
import { isRoot, notRoot } from './support/mounts.ts';

const containerd = judge('containerd');
const ctr = judge('ctr');
const reason = !isRoot
  ? notRoot
  : containerd === undefined || ctr === undefined
    ? noJudge('containerd')
    : canRunDockerRegistry()
      ? false
      : noDockerRegistry;

/** @returns its socket. */
async function startContainerd(dir: Scratch): Promise<AsyncDisposable & { readonly socket: string }> {
  assert.ok(containerd);
  const socket = dir.file('containerd.sock');
  const lines = [
    'version = 2',
    `root = "${dir.file('root')}"`,
    `state = "${dir.file('state')}"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    `[grpc]\naddress = "${socket}"`,
  ];
  writeFileSync(dir.file('containerd.toml'), lines.join('\n'));
  const child = spawn(containerd.path, ['--config', dir.file('containerd.toml')], { stdio: 'ignore' });
  for (let tries = 0; !existsSync(socket) && tries < 200 && child.exitCode === null; tries += 1)
    await sleep(50);
  return {
    socket,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.kill()) await once(child, 'exit');
    },
  };
}

suite('containerd', { skip: reason }, () => {
  test('fetches every platform of a signed image', async () => {
    using dir = scratch('containerd');
    await using registry = await startDockerRegistry({ folder: dir.file('registry') });
    await using daemon = await startContainerd(dir);
    const reference = `${registry.host}/team/app:1`;
    const opened = await openImage(reference);
    await makeIndex(opened.store, {
      tag: '1',
      images: [
        { architecture: 'amd64', layers: [[{ path: 'a', body: 'amd64' }]] },
        { architecture: 'arm64', layers: [[{ path: 'a', body: 'arm64' }]], compression: 'zstd' },
      ],
    });
    await initKeys(dir.file('keys'), { roles: ['layers'], rsaBits: { layers: 2048 } });
    const signer = await (await loadKeyring(dir.file('keys'))).signer('layers');
    await signImage(opened, { signer, threads: 1 });
    const set = await readImages(opened.store, '1');
    await opened.store.close();

    const run = (...args: readonly string[]): string => {
      assert.ok(ctr);
      const { status, stdout, stderr } = ctr.run(['--address', daemon.socket, ...args]);
      assert.equal(status, 0, stderr);
      return stdout;
    };
    run('content', 'fetch', '--plain-http', '--all-platforms', reference);
    const there = new Set(run('content', 'ls', '-q').trim().split('\n'));
    const wanted = set.images.flatMap(({ descriptor, manifest, layers }) => [
      descriptor.digest,
      manifest.config.digest,
      ...layers.map((layer) => layer.descriptor.digest),
    ]);
    for (const digest of [set.descriptor.digest, ...wanted]) assert.ok(there.has(digest), digest);
  });
});
