import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Code, ConnectError } from '@connectrpc/connect';
import { scratch } from '@osguard/testkit';
import { chainId, chainIdOf } from '../src/snapshotter/chain-id.ts';
import { diffId, FakeFinder, startRig, unpack } from './support/snapshotter-rig.ts';

const base = chainId([diffId(1)]);
const top = chainId([diffId(1), diffId(2)]);

/** Also what containerd does: its names carry namespace and number before the chain ID. */
const named = (chain: string): string => `default/7/${chain}`;

async function refused(call: Promise<unknown>, code: Code, text: RegExp): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof ConnectError);
    assert.equal(Code[error.code], Code[code], error.message);
    assert.match(error.rawMessage, text);
    return true;
  });
}

void test('an image of two layers and a container on it', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  await unpack(rig, 1, { name: named(base) });
  await unpack(rig, 2, { parent: named(base), name: named(top) });
  const { mounts } = await rig.snapshots.prepare({ key: 'container', parent: named(top), labels: {} });
  const options = mounts[0]?.options ?? [];
  assert.equal(mounts[0]?.type, 'overlay');
  assert.ok(options.includes('lowerdir=/layers/2:/layers/1'), String(options));
  const upper = options.find((option) => option.startsWith('upperdir='))?.slice('upperdir='.length) ?? '';
  assert.ok(existsSync(upper));
  assert.deepEqual((await rig.snapshots.mounts({ key: 'container' })).mounts, mounts);

  await refused(rig.snapshots.remove({ key: named(top) }), Code.FailedPrecondition, /parent of container/);
  await rig.snapshots.remove({ key: 'container' });
  assert.equal(existsSync(upper), false);
  await rig.snapshots.remove({ key: named(top) });
  assert.deepEqual([...rig.volumes.mounted.keys()], [1], 'the layer nobody stands on is closed');
  await rig.snapshots.remove({ key: named(base) });
  assert.equal(rig.volumes.mounted.size, 0);
  assert.deepEqual(readdirSync(join(rig.folder, 'layers')), ['incoming']);
  assert.deepEqual(readdirSync(join(rig.folder, 'snapshots')), []);
});

void test('nothing becomes part of an image without a verified layer', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  await rig.snapshots.prepare({ key: 'mine', parent: '', labels: {} });
  await refused(
    rig.snapshots.commit({ key: 'mine', name: 'image', labels: {} }),
    Code.FailedPrecondition,
    /holds no verified layer/,
  );
  rig.finder.signatures = [];
  await refused(unpack(rig, 1, { name: named(base) }), Code.FailedPrecondition, /has no signature/);
  assert.equal(rig.volumes.opens, 0, 'the kernel was not even asked');
  rig.finder.signatures = [Uint8Array.of(1)];
  rig.volumes.refused.set(diffId(2).slice(7), 'not signed by anybody trusted');
  await refused(unpack(rig, 2, { name: named(diffId(2)) }), Code.FailedPrecondition, /not signed by anybody/);
  assert.deepEqual(readdirSync(join(rig.folder, 'layers')), ['incoming'], 'nothing of it is left');
  assert.deepEqual(rig.metadata.layers(), []);
});

void test('mode audit takes an unsigned layer and says so', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path, { audit: true });
  rig.finder.signatures = [];
  await unpack(rig, 1, { name: named(base) });
  assert.ok(rig.log.some((line) => line.includes('NOT signed')));
});

void test('a second signature is tried when the first is refused by the kernel', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  const signatures: (readonly number[])[] = [];
  const open = rig.volumes.open.bind(rig.volumes);
  rig.volumes.open = async (layer) => {
    signatures.push([layer.id]);
    if (signatures.length === 1) throw new Error('the first one');
    return open(layer);
  };
  rig.finder.signatures = [Uint8Array.of(1), Uint8Array.of(2)];
  await unpack(rig, 1, { name: named(base) });
  assert.ok(signatures.length >= 2, 'the first refusal was not the end');
});

void test('a layer under another name than its chain is refused', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  await refused(
    unpack(rig, 1, { name: named(chainId([diffId(9)])) }),
    Code.FailedPrecondition,
    /are those of/,
  );
});

void test('a row changed on the disk does not put another layer under a container', async () => {
  using dir = scratch('snapshotter');
  const folder = dir.path;
  await using rig = await startRig(folder);
  await unpack(rig, 1, { name: named(base) });
  await unpack(rig, 2, { name: named(chainId([diffId(2)])) });
  const [one, two] = rig.metadata.snapshots();
  assert.ok(one?.layer !== undefined && two?.layer !== undefined);
  using database = new DatabaseSync(join(folder, 'metadata.db'));
  database.prepare('UPDATE snapshots SET layer = ? WHERE id = ?').run(two.layer.id, one.id);
  await refused(
    rig.snapshots.prepare({ key: 'container', parent: named(base), labels: {} }),
    Code.FailedPrecondition,
    /are not its own/,
  );
});

void test('the same layer for two images at once is fetched once', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  const gate = Promise.withResolvers<void>();
  rig.finder.gate = gate.promise;
  const both = Promise.all([
    unpack(rig, 1, { name: named(base) }),
    unpack(rig, 1, { name: `k8s.io/1/${base}` }),
  ]);
  setTimeout(gate.resolve, 100);
  await both;
  assert.equal(rig.finder.finds, 1);
  assert.equal(rig.metadata.layers().length, 1);
});

void test('mounts of another snapshotter are left to the next differ', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  const mounts = [{ type: 'bind', source: '/var/lib/other/fs', target: '', options: ['rw'] }];
  const call = rig.diff.apply({ diff: { digest: diffId(1), mediaType: 'x', size: 1n }, mounts });
  await refused(call, Code.Unimplemented, /another snapshotter/);
  await refused(rig.diff.diff({ left: [], right: [] }), Code.Unimplemented, /makes no layers/);
});

void test('labels, listing and usage', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  for (let n = 1; n <= 120; n += 1) {
    const parent = n === 1 ? '' : `layer-${n - 1}`;
    await unpack(rig, n, { parent, name: `layer-${n}` });
  }
  const names: string[] = [];
  for await (const { info } of rig.snapshots.list({})) names.push(...info.map((row) => row.name));
  assert.equal(names.length, 120);
  await rig.snapshots.update({
    info: { name: 'layer-1', labels: { colour: 'red' } },
    updateMask: { paths: ['labels.colour'] },
  });
  const { info } = await rig.snapshots.stat({ key: 'layer-1' });
  assert.equal(info?.labels['colour'], 'red');
  assert.equal(info?.labels['containerd.io/snapshot.ref'], 'layer-1');
  assert.equal(info?.kind, 3);
  assert.equal((await rig.snapshots.usage({ key: 'layer-1' })).size, 5n);
  const { mounts } = await rig.snapshots.prepare({ key: 'deep', parent: 'layer-120', labels: {} });
  const lower = mounts[0]?.options.find((option) => option.startsWith('lowerdir='));
  assert.equal(lower?.split(':').length, 120);
  await refused(rig.snapshots.stat({ key: 'nobody' }), Code.NotFound, /does not exist/);
  await refused(rig.snapshots.prepare({ key: 'deep', parent: '', labels: {} }), Code.AlreadyExists, /exists/);
});

void test('a start removes what an earlier process left half done, and nothing else', async () => {
  using dir = scratch('snapshotter');
  const folder = dir.path;
  let volumes;
  {
    await using rig = await startRig(folder);
    await unpack(rig, 1, { name: named(base) });
    volumes = rig.volumes;
  }
  volumes.mounted.set(77, 'left by a process that was killed');
  mkdirSync(join(folder, 'snapshots/999/fs'), { recursive: true });
  mkdirSync(join(folder, 'layers', 'ab'.repeat(32)));
  writeFileSync(join(folder, 'layers/incoming/5-5.erofs'), 'half');
  await using rig = await startRig(folder, { volumes });
  assert.deepEqual([...rig.volumes.mounted.keys()], [1]);
  assert.deepEqual(readdirSync(join(folder, 'layers')).toSorted(), [diffId(1).slice(7), 'incoming']);
  assert.deepEqual(readdirSync(join(folder, 'layers/incoming')), []);
  assert.deepEqual(readdirSync(join(folder, 'snapshots')), []);
  await rig.snapshots.prepare({ key: 'container', parent: named(base), labels: {} });
});

void test('images that share a layer come and go at the same time', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < 60) {
      const name = `same-${(next += 1)}`;
      await unpack(rig, 1, { name });
      await rig.snapshots.remove({ key: name });
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  assert.equal(rig.volumes.mounted.size, 0);
  assert.deepEqual(readdirSync(join(dir.path, 'layers')), ['incoming']);
});

void test('100 cycles, 8 at once, leave nothing behind', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  await unpack(rig, 1, { name: named(base) });
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < 100) {
      const n = (next += 1);
      await unpack(rig, 100 + n, { parent: named(base), name: `cycle-${n}` });
      await rig.snapshots.prepare({ key: `container-${n}`, parent: `cycle-${n}`, labels: {} });
      await rig.snapshots.remove({ key: `container-${n}` });
      await rig.snapshots.remove({ key: `cycle-${n}` });
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  assert.deepEqual([...rig.volumes.mounted.keys()], [1]);
  assert.deepEqual(readdirSync(join(rig.folder, 'snapshots')), []);
  assert.deepEqual(readdirSync(join(rig.folder, 'layers')).toSorted(), [diffId(1).slice(7), 'incoming']);
});

void test('chain IDs are those of the image specification', () => {
  assert.equal(chainId([diffId(1)]), diffId(1));
  assert.equal(chainIdOf(`k8s.io/12/${base}`), base);
  assert.equal(chainIdOf('container-1'), undefined);
});

void test('a database that calls a layer unsigned, or names no root hash, opens nothing', async () => {
  using dir = scratch('snapshotter');
  const change = (sql: string): void => {
    const database = new DatabaseSync(join(dir.path, 'metadata.db'));
    database.exec(sql);
    database.close();
  };
  {
    await using rig = await startRig(dir.path);
    await unpack(rig, 1, { name: named(base) });
  }
  change('UPDATE layers SET signed = 0');
  {
    await using rig = await startRig(dir.path);
    await refused(
      rig.snapshots.prepare({ key: 'container', parent: named(base), labels: {} }),
      Code.FailedPrecondition,
      /has no signature/,
    );
    assert.equal(rig.volumes.opens, 0, 'the kernel was not even asked');
  }
  change("UPDATE layers SET root_hash = '../../precious'");
  await assert.rejects(startRig(dir.path), /without root hash/);
});

void test('a layer that is cleaned up before anything stands on it is fetched again', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  const add = rig.layers.add.bind(rig.layers);
  let hit = false;
  rig.layers.add = async (incoming) => {
    const layer = await add(incoming);
    if (!hit) await rig.layers.collect();
    hit = true;
    return layer;
  };
  await unpack(rig, 1, { name: named(base) });
  assert.equal(rig.finder.finds, 2);
  assert.equal(rig.volumes.mounted.size, 1);
});

void test('everybody in a container gets through its root folder', async () => {
  using dir = scratch('snapshotter');
  await using rig = await startRig(dir.path);
  await unpack(rig, 1, { name: named(base) });
  const before = process.umask(0o077);
  try {
    const { mounts } = await rig.snapshots.prepare({ key: 'container', parent: named(base), labels: {} });
    const upper = mounts[0]?.options.find((each) => each.startsWith('upperdir='))?.slice(9) ?? '';
    assert.equal(statSync(upper).mode & 0o777, 0o755);
  } finally {
    process.umask(before);
  }
});

void test('a full disk is said to be full, and gets back what was fetched', async () => {
  using dir = scratch('snapshots');
  await using rig = await startRig(dir.path);
  const kept = join(rig.layers.incoming, '.of-another-layer.part');
  writeFileSync(kept, 'half');
  rig.finder.find = async ({ output }) => {
    writeFileSync(join(dirname(output), `.${basename(output)}.0123.part`), 'half');
    const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
    return Promise.reject(new Error('the image could not be written', { cause: full }));
  };
  const text = /no space left for layer sha256:0+1: \d+ MiB are free at .*ctr images rm/;
  await refused(unpack(rig, 1, { name: diffId(1) }), Code.ResourceExhausted, text);
  assert.deepEqual(readdirSync(rig.layers.incoming), ['.of-another-layer.part']);
  rig.finder.find = (request) => new FakeFinder().find(request);
  await rig.snapshots.remove({ key: `extract-${diffId(1)}` });
  await unpack(rig, 1, { name: diffId(1) });
});

void test('a layer that the kernel found damaged is not used again until it is stored anew', async () => {
  using dir = scratch('snapshots');
  await using rig = await startRig(dir.path);
  const { volumes, snapshots } = rig;
  await unpack(rig, 1, { name: diffId(1) });
  const run = async (key: string): Promise<unknown> =>
    snapshots.prepare({ key, parent: diffId(1), labels: {} });
  await run('first');
  volumes.wrong.add(diffId(1).slice('sha256:'.length));
  await snapshots.remove({ key: 'first' });
  while (!rig.log.some((line) => line.includes('is damaged'))) await new Promise(setImmediate);
  await refused(run('second'), Code.FailedPrecondition, /is damaged: the kernel met .*ctr images rm --sync/);

  await snapshots.remove({ key: diffId(1) });
  assert.equal(volumes.mounted.size, 0);
  volumes.wrong.clear();
  await unpack(rig, 1, { name: diffId(1) });
  await run('third');
});
