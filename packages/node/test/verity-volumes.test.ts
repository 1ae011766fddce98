import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeLayerHeader } from '@osguard/formats/layer';
import { scratch } from '@osguard/testkit';
import type { Layer } from '../src/snapshotter/model.ts';
import { isTableOf } from '../src/snapshotter/verity-table.ts';
import type { VolumeHost } from '../src/snapshotter/verity-volumes.ts';
import { VerityVolumes } from '../src/snapshotter/verity-volumes.ts';
import type { Mount } from '../src/snapshotter/volumes.ts';

const hash = (digit: string): string => digit.repeat(64);
const layer = (id: number, digit: string): Layer => ({
  id,
  rootHash: hash(digit),
  diffId: `sha256:${hash(digit)}`,
  size: 12_288,
  hashOffset: 8192,
  signed: true,
});
const files = { image: '/var/layer.erofs', signature: '/var/layer.p7s' };
/** In the order of the kernel; which key is of no account. */
const table = (digit: string, options = '2 root_hash_sig_key_desc cryptsetup:osguard'): string =>
  `0 16 verity 1 7:1 7:0 4096 4096 2 3 sha256 ${hash(digit)} ${'0'.repeat(64)} ${options}`;

const fail = (output: string): { status: number; output: string } => ({ status: 1, output });

/** A kernel of which only names, numbers, tables and mounts are known. Volume x holds layer x. */
class FakeHost implements VolumeHost {
  readonly tables = new Map<string, { number: string; table: string; digit: string }>();
  readonly folders = new Map<string, Mount>();
  readonly calls: string[] = [];
  #next = 0;

  /** What veritysetup does. */
  add(name: string, digit: string, text = table(digit)): string {
    this.#next += 1;
    const number = `253:${this.#next}`;
    this.tables.set(name, { number, table: text, digit });
    return number;
  }

  mountOn(folder: string, device: string, changes: Partial<Mount> = {}): void {
    this.#next += 1;
    this.folders.set(folder, { id: String(this.#next), device, root: '/', type: 'erofs', ...changes });
  }

  run: VolumeHost['run'] = async (program, args) => {
    const [verb = ''] = args;
    const tool = program.split('/').at(-1) ?? '';
    this.calls.push(`${tool} ${verb}`);
    if (tool === 'umount') this.folders.delete(verb);
    else if (tool === 'mount') {
      const device = this.tables.get(args.at(-2)?.replace('/dev/mapper/', '') ?? '');
      if (device === undefined) return fail('no such device');
      this.mountOn(args.at(-1) ?? '', device.number);
    } else if (verb === 'detach') this.tables.delete(args[1] ?? '');
    else if (verb === 'attach') {
      // As systemd-veritysetup: content when the name is taken.
      const name = args[1] ?? '';
      if (!this.tables.has(name)) this.add(name, args[4]?.[0] ?? '');
    } else if (verb === 'table') {
      const number = `${args[2]}:${args[4]}`;
      const found = [...this.tables.values()].find((each) => each.number === number);
      return found === undefined ? fail('no such device') : { status: 0, output: found.table };
    }
    return { status: 0, output: '' };
  };
  mounts: VolumeHost['mounts'] = async () => new Map(this.folders);
  devices: VolumeHost['devices'] = async () => ['control', ...this.tables.keys()];
  numberOf: VolumeHost['numberOf'] = async (path) =>
    this.folders.get(path)?.device ?? this.tables.get(path.replace('/dev/mapper/', ''))?.number ?? '0:1';
  start: VolumeHost['start'] = async (device) => {
    const digit = this.tables.get(device.replace('/dev/mapper/', ''))?.digit ?? '0';
    const bytes = new Uint8Array(4096);
    bytes.set(encodeLayerHeader({ version: 1, diffId: `sha256:${hash(digit)}`, tarSize: 1 }));
    return bytes;
  };
}

void test('a layer is opened once, and its volume is used again', async () => {
  using dir = scratch('volumes');
  const host = new FakeHost();
  const volumes = new VerityVolumes(dir.path, host);
  const folder = await volumes.open(layer(1, 'a'), files);
  assert.equal(folder, join(dir.path, '1'));
  const before = host.calls.length;
  assert.equal(await volumes.open(layer(1, 'a'), files), folder);
  assert.equal(host.calls.length, before, 'nothing was run for it');
  assert.deepEqual(await volumes.opened(), [1]);
  const next = new VerityVolumes(dir.path, host);
  assert.equal(await next.open(layer(1, 'a'), files), folder);
  assert.deepEqual(host.calls.slice(before), ['dmsetup table'], 'another process asks the kernel what it is');
  await next.close(1);
  assert.deepEqual([host.tables.size, host.folders.size, existsSync(folder)], [0, 0, false]);
});

void test('a database that counts from one again gets no volume of another layer', async () => {
  using dir = scratch('volumes');
  const host = new FakeHost();
  await new VerityVolumes(dir.path, host).open(layer(1, 'a'), files);
  const folder = await new VerityVolumes(dir.path, host).open(layer(1, 'b'), files);
  const mounted = host.folders.get(folder)?.device;
  assert.deepEqual(
    [...host.tables.values()].map(({ number, digit }) => [number, digit]),
    [[mounted, 'b']],
  );
});

for (const [what, plant] of Object.entries<(host: FakeHost, folder: string) => void>({
  'a volume of that name with another root hash': (host, folder) => {
    host.mountOn(folder, host.add(`osguard-layer-1-${hash('a')}`, 'a', table('b')));
  },
  'a volume that was opened without a signature': (host, folder) => {
    host.mountOn(folder, host.add(`osguard-layer-1-${hash('a')}`, 'a', table('a', '')));
  },
  'a volume that is no dm-verity at all': (host, folder) => {
    host.mountOn(folder, host.add(`osguard-layer-1-${hash('a')}`, 'a', '0 16 linear 7:1 0'));
  },
  'another device than the one of that name': (host, folder) => {
    host.add(`osguard-layer-1-${hash('a')}`, 'a');
    host.mountOn(folder, host.add('other', 'b'));
  },
  'a part of the right volume': (host, folder) => {
    host.mountOn(folder, host.add(`osguard-layer-1-${hash('a')}`, 'a'), { root: '/etc' });
  },
  'something else on the folder': (host, folder) => {
    host.mountOn(folder, '0:31', { type: 'tmpfs' });
  },
})) {
  void test(`${what} is not used`, async () => {
    using dir = scratch('volumes');
    const host = new FakeHost();
    const folder = join(dir.path, '1');
    plant(host, folder);
    const planted = host.folders.get(folder)?.id;
    await new VerityVolumes(dir.path, host).open(layer(1, 'a'), files);
    const mounted = host.folders.get(folder);
    assert.notEqual(mounted?.id, planted);
    assert.equal(mounted?.root, '/');
    const device = host.tables.get(`osguard-layer-1-${hash('a')}`);
    assert.equal(device?.number, mounted?.device);
    assert.equal(device?.table, table('a'));
  });
}

void test('what veritysetup finds there already is looked at before it is mounted', async () => {
  using dir = scratch('volumes');
  const host = new FakeHost();
  const { run } = host;
  host.run = async (program, args) => {
    // Somebody is faster.
    if (args[0] === 'attach') host.add(args[1] ?? '', 'a', table('b'));
    return run(program, args);
  };
  await assert.rejects(
    new VerityVolumes(dir.path, host).open(layer(1, 'a'), files),
    /not what was asked for/,
  );
  assert.deepEqual([host.tables.size, host.folders.size], [0, 0]);
});

void test('a row that names another layer than the volume itself is refused, also when it is open', async () => {
  using dir = scratch('volumes');
  const host = new FakeHost();
  const volumes = new VerityVolumes(dir.path, host);
  const wrong = { ...layer(1, 'a'), diffId: `sha256:${hash('b')}` };
  await assert.rejects(volumes.open(wrong, files), /is layer sha256:aaa.*, not sha256:bbb/);
  await volumes.open(layer(1, 'a'), files);
  await assert.rejects(volumes.open(wrong, files), /is layer sha256:aaa/);
  await assert.rejects(new VerityVolumes(dir.path, host).open(wrong, files), /is layer sha256:aaa/);
});

void test('a table is compared in every part', () => {
  const expected = { rootHash: hash('a'), hashOffset: 8192, signed: true };
  assert.ok(isTableOf(`${table('a')}\n`, expected));
  assert.ok(isTableOf(table('a', '').trim(), { ...expected, signed: false }));
  for (const wrong of [
    '',
    table('b'),
    table('a', '3 ignore_corruption root_hash_sig_key_desc x'),
    table('a', '1 ignore_corruption'),
    table('a').replace('0 16', '0 24'),
    table('a').replace('0 16', '8 16'),
    table('a').replace('sha256', 'sha1'),
    table('a').replace('4096 4096 2', '4096 4096 1'),
    `${table('a')}\n16 8 linear 7:1 0`,
  ])
    assert.equal(isTableOf(wrong, expected), false, wrong);
});

void test('a volume in which the kernel met a wrong block is named by its root hash', async () => {
  const host = new FakeHost();
  // As dmsetup 1.02.205 prints it.
  const output = `osguard-layer-1-${hash('1')}: 0 16 verity V\nosguard-layer-2-${hash('2')}: 0 16 verity C\nusr: 0 16 verity C\n`;
  host.run = async () => Promise.resolve({ status: 0, output });
  assert.deepEqual([...(await new VerityVolumes('/layers', host).damaged())], [hash('2')]);
  host.run = async () => Promise.resolve({ status: 0, output: 'No devices found\n' });
  assert.equal((await new VerityVolumes('/layers', host).damaged()).size, 0);
});
