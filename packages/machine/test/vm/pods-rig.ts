/**
 * What the tests of pods stand on: a host made from the recipe in docs/containers.md, a registry outside it, and a line to
 * containerd's CRI inside, over which this process does what kubelet does.
 */

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseReference } from '@osguard/formats/oci';
import { buildImage, defaultCacheFolder } from '@osguard/image';
import type { Keyring } from '@osguard/keys';
import { initKeys, loadKeyring } from '@osguard/keys';
import { openRegistry, signImage } from '@osguard/layers';
import type { ImageStore } from '@osguard/layers';
import { buildNodeExecutable } from '@osguard/node';
import type { Cri } from '@osguard/node/containerd';
import { openCri } from '@osguard/node/containerd';
import type { Scratch } from '@osguard/testkit';

import type { BootedHost } from '../../src/containers/boot.ts';
import { bootContainerHost } from '../../src/containers/boot.ts';
import { greetingProgram, waitingProgram } from '../../src/containers/greeting-program.ts';
import { startLocalRegistry } from '../../src/containers/local-registry.ts';
import type { NewImage } from '../../src/containers/make-image.ts';
import { makeImage } from '../../src/containers/make-image.ts';
import { cacheFolder, openTools } from '../../src/tools/open.ts';
import { ensureTree } from '../../src/tools/tree.ts';

const sink = (): void => undefined;
/** How QEMU's user network shows this machine to the guest. */
const outside = '10.0.2.2';
const recipe = join(import.meta.dirname, '../../../../docs/containers.md');

export interface PodRigOptions {
  readonly folder: Scratch;
  /** More lines of the definition, which lies in the folder. */
  readonly more?: string;
  readonly consoles?: string;
  /** Suite of Debian whose containerd takes the place of the host's own. */
  readonly containerd?: string | undefined;
}

export interface PodRig extends AsyncDisposable {
  readonly booted: BootedHost;
  readonly cri: Cri;
  /** As the host names it. */
  readonly registry: string;
  /** A static busybox. */
  readonly busybox: Uint8Array;
  push(name: string, image: Omit<NewImage, 'tag'>): Promise<void>;
  sign(name: string): Promise<void>;
}

export async function openPodRig(options: PodRigOptions): Promise<PodRig> {
  const { folder, more = '', consoles, containerd } = options;
  await using scope = new AsyncDisposableStack();
  const tools = await openTools({ sets: ['run', 'intruder', 'registry'] });
  const tree = await ensureTree({
    folder: join(cacheFolder(), 'tools'),
    suite: 'trixie',
    packages: ['busybox-static'],
  });
  const busybox = readFileSync(join(tree.path, 'root/usr/bin/busybox'));
  const line = await listen(createServer());
  scope.defer(() => void line.server.close());
  const port = await freePort();
  const registry = scope.use(await startLocalRegistry({ tools, folder: folder.file('registry'), port }));
  await initKeys(folder.file('keys'));
  const keyring = await loadKeyring(folder.file('keys'));
  const programs = containerd === undefined ? '' : await otherContainerd(folder, containerd);
  writeFileSync(folder.file('host.yaml'), definition(`${outside}:${port}`, programs + more));
  const cache = defaultCacheFolder();
  const { release } = await buildImage({
    definition: folder.file('host.yaml'),
    keyring,
    output: folder.file('release'),
    cacheFolder: cache,
    nodeProgram: () => buildNodeExecutable({ cacheFolder: cache }),
    sink,
  });
  const booted = scope.use(
    await bootContainerHost({
      release,
      keyring,
      tools,
      folder: folder.file('boot'),
      images: false,
      network: true,
      sink,
      ...(consoles !== undefined && { consoles }),
    }),
  );
  const socket = await joinCri(booted, line);
  scope.defer(() => void socket.destroy());
  const store = async (name: string): Promise<ImageStore> =>
    openRegistry(parseReference(`${registry.host}/${name}`), {
      insecure: [registry.host],
      credentials: async () => Promise.resolve(undefined),
    });
  const running = scope.move();
  return {
    booted,
    cri: openCri(() => socket),
    registry: `${outside}:${port}`,
    busybox,
    async push(name, image) {
      const opened = await store(name);
      await makeImage(opened, { ...image, tag: '1' });
      await opened.close();
    },
    sign: async (name) => signRepository(await store(name), { name, keyring, folder }),
    [Symbol.asyncDispose]: async () => running.disposeAsync(),
  };
}

/** The first YAML block of the recipe and more of its files, with a registry that is there. */
function definition(registry: string, more: string): string {
  const [, after = ''] = readFileSync(recipe, 'utf8').split('\n## Kubernetes (CRI)\n');
  const block = /```yaml\n(?<text>.*?)```/s.exec(after)?.groups?.['text'];
  if (block === undefined) throw new Error('docs/containers.md has no definition of a host for pods');
  return (block + more)
    .replaceAll('registry.example', registry)
    .replace('mode: enforce', `mode: enforce\n  insecureRegistries: ["${registry}"]`);
}

/** Programs of the other containerd beside the definition. @returns lines of it, under `files` */
async function otherContainerd(folder: Scratch, suite: string): Promise<string> {
  const tree = await ensureTree({
    folder: join(cacheFolder(), 'containerd'),
    suite,
    packages: ['containerd'],
  });
  const lines = ['containerd', 'containerd-shim-runc-v2', 'ctr'].map((name) => {
    copyFileSync(join(tree.path, 'root/usr/bin', name), folder.file(name));
    return `  - {path: /usr/bin/${name}, source: ${name}, mode: "0755"}\n`;
  });
  return lines.join('');
}

async function signRepository(
  store: ImageStore,
  { name, keyring, folder }: { readonly name: string; readonly keyring: Keyring; readonly folder: Scratch },
): Promise<void> {
  const workFolder = folder.file(`signing-${name}`);
  mkdirSync(workFolder);
  const signer = await keyring.signer('layers');
  await signImage({ store, tag: '1', name }, { signer, workFolder, threads: 1 });
  await store.close();
}

interface Line {
  readonly server: Server;
  readonly port: number;
}

async function listen(server: Server): Promise<Line> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, port: address.port };
}

/** containerd's socket, joined to a connection that the guest makes to this machine. */
async function joinCri({ host }: BootedHost, { server, port }: Line): Promise<Socket> {
  const connected = once(server, 'connection');
  const joined = host.ask('join-socket', { socket: '/run/containerd/containerd.sock', host: outside, port });
  await host.must(joined, 'the line to containerd');
  const [socket]: Socket[] = await connected;
  if (socket === undefined) throw new Error('no connection');
  return socket;
}

async function freePort(): Promise<number> {
  const { server, port } = await listen(createServer());
  server.close();
  await once(server, 'close');
  return port;
}

/** Programs of the images of these tests: `/greet`, `/wait`, and what `busybox` can do. */
export function podFiles(busybox: Uint8Array): NewImage['files'] {
  return [
    { path: 'greet', body: greetingProgram(), mode: 0o755 },
    { path: 'wait', body: waitingProgram(), mode: 0o755 },
    { path: 'bin/busybox', body: busybox, mode: 0o755 },
  ];
}
