/**
 * containerd of Debian 13 and of the release after it, with the configuration that hosts get, on this machine: both pull
 * through our snapshotter and differ, also for the CRI, and show who refuses. What the kernel does, vm/pods.test.ts looks at.
 */

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { openImage, signImage } from '@osguard/layers';
import { openCri } from '@osguard/node/containerd';
import type { Snapshotter, Volumes } from '@osguard/node/snapshotter';
import { mountedFolders, startSnapshotter } from '@osguard/node/snapshotter';
import type { DockerRegistry, Scratch } from '@osguard/testkit';
import {
  canRunDockerRegistry,
  makeImage,
  noDockerRegistry,
  scratch,
  startDockerRegistry,
} from '@osguard/testkit';

import { run } from '../src/process/run.ts';
import { cacheFolder } from '../src/tools/open.ts';
import { ensureTree } from '../src/tools/tree.ts';

const suites = { '1.7': 'trixie', '2': 'forky' } as const;
const hostConfig = join(
  import.meta.dirname,
  '../../image/src/host/node-files/layers/etc/containerd/config.toml',
);

const reason =
  process.getuid?.() !== 0
    ? 'containerd and mounts need root'
    : readFileSync('/proc/filesystems', 'utf8').includes('erofs')
      ? canRunDockerRegistry()
        ? false
        : noDockerRegistry
      : 'this kernel has no EROFS';

for (const [version, debian] of Object.entries(suites)) {
  suite(`containerd ${version} of ${debian}`, { skip: reason }, () => {
    test('pulls what was signed, refuses what was not, and leaves nothing', async (context) => {
      const binaries = await binariesOf(debian);
      if (typeof binaries === 'string') {
        context.skip(binaries);
        return;
      }
      using dir = scratch('containerd');
      await using rig = await openRig(dir, binaries);
      assert.match(await rig.ctr('version'), new RegExp(`Version: +v?${version.replace('.', '\\.')}\\.?`));

      const { signed, unsigned } = rig;
      await rig.ctr('images', 'pull', '--snapshotter', 'osguard', '--plain-http', signed);
      const view = dir.file('view');
      mkdirSync(view);
      await rig.ctr('images', 'mount', '--snapshotter', 'osguard', signed, view);
      try {
        assert.equal(readFileSync(join(view, 'low'), 'utf8'), 'one');
        assert.equal(readFileSync(join(view, 'high'), 'utf8'), 'two');
      } finally {
        await rig.ctr('images', 'unmount', '--rm', '--snapshotter', 'osguard', view);
      }
      for (const more of version === '2' ? [[], ['--local']] : [[]]) {
        await assert.rejects(
          rig.ctr('images', 'pull', ...more, '--snapshotter', 'osguard', '--plain-http', unsigned),
          /layer sha256:\w+ is not signed \(looked in: 127\.0\.0\.1:\d+\/unsigned\)/,
        );
      }
      for (const other of ['overlayfs', 'native', 'erofs']) {
        await assert.rejects(
          rig.ctr('images', 'pull', '--snapshotter', other, '--plain-http', signed),
          /snapshotter not loaded|no unpack platforms defined/,
        );
      }

      const { images, runtime } = openCri(() => connect(rig.socket));
      const { runtimeVersion } = await runtime.version({});
      assert.ok(runtimeVersion.replace(/^v/, '').startsWith(version), runtimeVersion);
      const { imageRef } = await images.pullImage({ image: { image: signed } });
      assert.match(imageRef, /^sha256:/);
      await assert.rejects(images.pullImage({ image: { image: unsigned } }), /is not signed \(looked in: /);
      const { images: there } = await images.listImages({});
      assert.deepEqual(
        there.flatMap(({ repoTags }) => repoTags),
        [signed],
      );
      const { imageFilesystems } = await images.imageFsInfo({});
      // The folder kubelet looks at must be there.
      assert.equal(imageFilesystems[0]?.fsId?.mountpoint, '/var/lib/osguard');
      await images.removeImage({ image: { image: signed } });
      await rig.ctr('images', 'rm', '--sync', signed);
      for (let tries = 0; tries < 100 && rig.left().length > 0; tries += 1) await sleep(100);
      assert.deepEqual(rig.left(), []);
    });
  });
}

/** Folder of the programs, or why there is none. */
async function binariesOf(debian: string): Promise<string | { readonly folder: string }> {
  try {
    // Not among the tools, which every test may take for its judges.
    const folder = join(cacheFolder(), 'containerd');
    const tree = await ensureTree({ folder, suite: debian, packages: ['containerd'] });
    return { folder: join(tree.path, 'root/usr/bin') };
  } catch (error) {
    return `containerd of ${debian} cannot be had: ${error instanceof Error ? error.message : String(error)}`;
  }
}

interface Rig extends AsyncDisposable {
  readonly socket: string;
  readonly signed: string;
  readonly unsigned: string;
  /** @returns its output. @throws with its errors */
  ctr(...args: readonly string[]): Promise<string>;
  /** Layers, snapshots and mounts that are there. */
  left(): readonly string[];
}

async function openRig(dir: Scratch, { folder }: { readonly folder: string }): Promise<Rig> {
  await using scope = new AsyncDisposableStack();
  const registry = scope.use(await startDockerRegistry({ folder: dir.file('registry') }));
  await initKeys(dir.file('keys'), {
    roles: ['layers', 'release'],
    rsaBits: { layers: 2048, release: 2048 },
  });
  const keyring = await loadKeyring(dir.file('keys'));
  const signed = await pushTwo(registry, keyring);
  const mounts = dir.file('mounts');
  const socket = dir.file('containerd.sock');
  // A test that failed must not leave mounts.
  scope.defer(() => unmountBelow(dir.path));
  scope.use(await snapshotter(dir, { keyring, registry, mounts, socket }));
  scope.use(await startContainerd(dir, { program: join(folder, 'containerd'), socket, registry }));
  const running = scope.move();
  return {
    socket,
    ...signed,
    async ctr(...args) {
      const command = { file: join(folder, 'ctr'), args: ['--address', socket, ...args], env: {} };
      const { status, stdout, stderr } = await run(command, { timeoutMs: 60_000 });
      if (status !== 0) throw new Error(stderr);
      return stdout;
    },
    left: () => [
      ...readdirSync(join(dir.path, 'state/layers')).filter((name) => name !== 'incoming'),
      ...readdirSync(join(dir.path, 'state/snapshots')),
      ...(existsSync(mounts) ? readdirSync(mounts) : []),
    ],
    [Symbol.asyncDispose]: async () => running.disposeAsync(),
  };
}

async function pushTwo(
  { host }: DockerRegistry,
  keyring: Keyring,
): Promise<Readonly<Record<'signed' | 'unsigned', string>>> {
  const references = { signed: `${host}/signed:1`, unsigned: `${host}/unsigned:1` };
  for (const [name, reference] of Object.entries(references)) {
    const opened = await openImage(reference);
    const files = [{ path: 'low', body: name === 'signed' ? 'one' : 'another' }];
    await makeImage(opened.store, { tag: '1', layers: [files, [{ path: 'high', body: 'two' }]] });
    if (name === 'signed') await signImage(opened, { signer: await keyring.signer('layers'), threads: 1 });
    await opened.store.close();
  }
  return references;
}

async function snapshotter(
  dir: Scratch,
  {
    keyring,
    registry,
    mounts,
    socket,
  }: {
    readonly keyring: Keyring;
    readonly registry: DockerRegistry;
    readonly mounts: string;
    readonly socket: string;
  },
): Promise<Snapshotter> {
  return startSnapshotter({
    state: dir.file('state'),
    socket: dir.file('layers.sock'),
    containerd: socket,
    volumes: loopVolumes(mounts),
    signers: [keyring.certificate('layers')],
    release: keyring.certificate('release'),
    revocations: [],
    credentials: dir.file('none'),
    registries: () => [registry.host],
    insecure: [registry.host],
    audit: false,
    log: () => undefined,
  });
}

/** EROFS without dm-verity, which few build machines have. */
function loopVolumes(mounts: string): Volumes {
  const folderOf = (id: number): string => join(mounts, String(id));
  return {
    async open({ id }, { image }) {
      const folder = folderOf(id);
      if ((await mountedFolders()).has(folder)) return folder;
      mkdirSync(folder, { recursive: true });
      execFileSync('mount', ['-t', 'erofs', '-o', 'loop,ro', image, folder]);
      return folder;
    },
    async close(id) {
      const folder = folderOf(id);
      if ((await mountedFolders()).has(folder)) execFileSync('umount', [folder]);
      if (existsSync(folder)) rmdirSync(folder);
    },
    damaged: async () => Promise.resolve(new Set<string>()),
    async opened() {
      return Promise.resolve(existsSync(mounts) ? readdirSync(mounts).map(Number) : []);
    },
  };
}

async function unmountBelow(folder: string): Promise<void> {
  const below = [...(await mountedFolders()).keys()].filter((path) => path.startsWith(folder));
  for (const path of below.toReversed()) execFileSync('umount', [path]);
}

/** With the configuration of hosts; only where things are differs. */
async function startContainerd(
  dir: Scratch,
  {
    program,
    socket,
    registry,
  }: { readonly program: string; readonly socket: string; readonly registry: DockerRegistry },
): Promise<AsyncDisposable> {
  const certificates = dir.file('certs.d');
  mkdirSync(join(certificates, registry.host), { recursive: true });
  writeFileSync(join(certificates, registry.host, 'hosts.toml'), `server = "http://${registry.host}"\n`);
  const config = readFileSync(hostConfig, 'utf8')
    .replace('"/var/lib/containerd"', JSON.stringify(dir.file('root')))
    .replace('"/run/containerd"', JSON.stringify(dir.file('run')))
    .replace('"/var/lib/containerd/opt"', JSON.stringify(dir.file('opt')))
    .replace('"/etc/containerd/certs.d"', JSON.stringify(certificates))
    .replaceAll('/run/osguard-layers/containerd.sock', dir.file('layers.sock'));
  const file = dir.file('config.toml');
  writeFileSync(file, `${config}\n[grpc]\naddress = ${JSON.stringify(socket)}\n`);
  const log: string[] = [];
  const child: ChildProcess = spawn(program, ['--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => log.push(text));
  const ended = once(child, 'exit');
  const ready = async (): Promise<boolean> =>
    existsSync(socket) &&
    (await run({ file: join(program, '../ctr'), args: ['--address', socket, 'plugins', 'ls'], env: {} }))
      .status === 0;
  for (let tries = 0; !(await ready()); tries += 1) {
    if (child.exitCode !== null || tries === 100)
      throw new Error(`containerd does not start: ${log.join('')}`);
    await sleep(100);
  }
  return {
    async [Symbol.asyncDispose]() {
      child.kill();
      await ended;
    },
  };
}
