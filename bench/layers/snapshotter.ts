/** The snapshotter used hard: what stays behind after many cycles, and after it was killed at any moment of a pull. */

import { execFileSync, fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import type { Client } from '@connectrpc/connect';
import { connectNodeAdapter, createGrpcTransport } from '@connectrpc/connect-node';
import { initKeys, loadKeyring } from '@osguard/keys';
import { openImage, readImages, signImage } from '@osguard/layers';
import type { ImageLayer } from '@osguard/layers';
import { Content, Diff, Snapshots } from '@osguard/node/containerd';
import { mountedFolders } from '@osguard/node/snapshotter';
import { makeImage } from '@osguard/testkit';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench } from '../measure.ts';
import { NotHere } from '../not-here.ts';

const cycles = 1000;
const atOnce = 8;
const kills = 200;

interface Rig extends AsyncDisposable {
  readonly folder: string;
  readonly layers: readonly ImageLayer[];
  start(): Promise<Service>;
}

interface Service {
  readonly snapshots: Client<typeof Snapshots>;
  readonly diff: Client<typeof Diff>;
  readonly child: ChildProcess;
  stop(signal: NodeJS.Signals): Promise<void>;
}

/** A signed image of three layers in a layout, and a content store that knows nothing of registries. */
async function openRig(bench: Bench): Promise<Rig> {
  if (process.getuid?.() !== 0) throw new NotHere('mounting layers needs root');
  if (!readFileSync('/proc/filesystems', 'utf8').includes('erofs'))
    throw new NotHere('no EROFS in this kernel');
  const folder = mkdtempSync(join(tmpdir(), 'osguard-bench-snapshotter-'));
  const layout = join(folder, 'state', 'layout');
  mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true });
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(layout, 'index.json'), '{"schemaVersion":2,"manifests":[]}');
  const keys = join(folder, 'keys');
  await initKeys(keys, { roles: ['layers', 'release'], rsaBits: { layers: 2048 } });
  const opened = await openImage(`oci:${layout}:app`);
  await makeImage(opened.store, {
    tag: 'app',
    layers: [
      [{ path: 'one', body: body(3, 3_000_000) }],
      [{ path: 'two', body: body(5, 6_000_000) }],
      [{ path: 'three', body: 'small' }],
    ],
  });
  await signImage(opened, { signer: await (await loadKeyring(keys)).signer('layers'), threads: 1 });
  const image = (await readImages(opened.store, 'app')).images[0];
  if (image === undefined) throw new Error('the image just made is not there');
  const content = await serveContent(join(folder, 'content.sock'));
  const running = new Set<Service>();
  return {
    folder,
    layers: image.layers,
    async start() {
      const service = await startService(bench, folder);
      running.add(service);
      void once(service.child, 'exit').then(() => running.delete(service));
      return service;
    },
    async [Symbol.asyncDispose]() {
      for (const service of running) await service.stop('SIGTERM');
      content.close();
      for (const path of await mountsOf(folder)) execFileSync('umount', [path]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Bytes that compress a little and never repeat a block. */
function body(seed: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * seed * 31 + (index >> 8) * seed) & 0xff);
}

async function serveContent(socket: string): Promise<{ close(): void }> {
  const handler = connectNodeAdapter({
    routes: (router) => {
      router.service(Content, { info: ({ digest }) => ({ info: { digest, size: 0n, labels: {} } }) });
    },
  });
  const server = createServer(handler).listen(socket);
  await once(server, 'listening');
  return server;
}

async function startService(bench: Bench, folder: string): Promise<Service> {
  const socket = join(folder, 'snapshotter.sock');
  const words = [
    join(folder, 'state'),
    join(folder, 'mounts'),
    socket,
    join(folder, 'content.sock'),
    join(folder, 'keys'),
  ];
  const child = fork(join(import.meta.dirname, '_snapshotter-run.ts'), words, {
    execPath: bench.node,
    env: { ...process.env, ...bench.nodeEnv },
  });
  const ended = once(child, 'exit');
  await Promise.race([
    once(child, 'message'),
    ended.then(() => Promise.reject(new Error('it did not start'))),
  ]);
  const transport = createGrpcTransport({
    baseUrl: 'http://localhost',
    nodeOptions: { createConnection: () => connect(socket) },
  });
  return {
    child,
    snapshots: createClient(Snapshots, transport),
    diff: createClient(Diff, transport),
    async stop(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

/** What containerd does for one layer. Each pull uses names of its own, so nothing is found done. */
async function pullLayer(
  { snapshots, diff }: Service,
  layer: ImageLayer,
  { name, parent }: { readonly name: string; readonly parent: string },
): Promise<void> {
  const labels = { 'containerd.io/snapshot.ref': name };
  const key = `extract-${name}`;
  const { mounts } = await snapshots.prepare({ key, parent, labels });
  const { digest, mediaType, size } = layer.descriptor;
  const { applied } = await diff.apply({ diff: { digest, mediaType, size: BigInt(size) }, mounts });
  if (applied?.digest !== layer.diffId) throw new Error(`${name}: applied ${applied?.digest}`);
  await snapshots.commit({ key, name, labels });
}

async function removeAll({ snapshots }: Service): Promise<void> {
  for (;;) {
    const rows: string[] = [];
    for await (const { info } of snapshots.list({})) rows.push(...info.map(({ name }) => name));
    if (rows.length === 0) break;
    for (const key of rows) await snapshots.remove({ key }).catch(() => undefined);
  }
  await snapshots.cleanup({});
}

async function mountsOf(folder: string): Promise<readonly string[]> {
  const mounts = join(folder, 'mounts');
  return [...(await mountedFolders()).keys()].filter((path) => path.startsWith(mounts));
}

/** Mounts, loop devices of ours and files that nothing stands for any more. */
async function leftovers(folder: string): Promise<number> {
  const mounts = [...(await mountedFolders()).keys()].filter((path) =>
    path.startsWith(join(folder, 'mounts')),
  );
  const loops = readdirSync('/sys/block').filter((name) => {
    const backing = join('/sys/block', name, 'loop/backing_file');
    return existsSync(backing) && readFileSync(backing, 'utf8').startsWith(folder);
  });
  const files = ['layers', 'snapshots'].flatMap((name) =>
    readdirSync(join(folder, 'state', name)).filter((entry) => entry !== 'incoming'),
  );
  return mounts.length + loops.length + files.length;
}

async function runCycles(bench: Bench): Promise<Measurement> {
  await using rig = await openRig(bench);
  const service = await rig.start();
  const [base, , top] = rig.layers;
  if (base === undefined || top === undefined) throw new Error('the image has other layers');
  await pullLayer(service, base, { name: 'base', parent: '' });
  const times = bench.singly ? 8 : cycles;
  const started = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = (next += 1); n <= times; n = next += 1) {
      await pullLayer(service, top, { name: `cycle-${n}`, parent: 'base' });
      await service.snapshots.prepare({ key: `container-${n}`, parent: `cycle-${n}`, labels: {} });
      await service.snapshots.remove({ key: `container-${n}` });
      await service.snapshots.remove({ key: `cycle-${n}` });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const seconds = (performance.now() - started) / 1000;
  await removeAll(service);
  return {
    value: await leftovers(rig.folder),
    notes: { cycles: times, atOnce, seconds: seconds.toFixed(1) },
  };
}

async function runKills(bench: Bench): Promise<Measurement> {
  await using rig = await openRig(bench);
  const times = bench.singly ? 3 : kills;
  let failed = 0;
  let interrupted = 0;
  let longest = 200;
  for (let round = 0; round < times; round += 1) {
    const service = await rig.start();
    const pull = async (name: string): Promise<void> => {
      let parent = '';
      for (const [index, layer] of rig.layers.entries()) {
        await pullLayer(service, layer, { name: `${name}-${index}`, parent });
        parent = `${name}-${index}`;
      }
    };
    // The pull after the last kill has to succeed, from whatever that one left.
    const started = performance.now();
    try {
      await pull(`after-${round}`);
    } catch (error) {
      failed += 1;
      process.stderr.write(`  round ${round}: ${String(error)}\n`);
    }
    longest = Math.max(50, performance.now() - started);
    await removeAll(service);
    const killed = pull(`killed-${round}`).then(
      () => false,
      () => true,
    );
    await new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
    await service.stop('SIGKILL');
    if (await killed) interrupted += 1;
    if (round % 20 === 19) process.stderr.write(`  killed ${round + 1} times\n`);
  }
  const service = await rig.start();
  await removeAll(service);
  return {
    value: failed + (await leftovers(rig.folder)),
    notes: { times, interrupted, failed },
  };
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'snapshotter-cycles',
    title: 'mounts, loop devices and files left after 1,000 cycles of prepare, commit and remove, 8 at once',
    unit: 'left',
    target: { atMost: 0 },
    measure: runCycles,
  }),
  defineFigure({
    id: 'snapshotter-kill',
    title: 'pulls that fail after the snapshotter was killed at a random moment of the one before, 200 times',
    unit: 'faults',
    target: { atMost: 0 },
    measure: runKills,
  }),
];
