/** What somebody who had the disk put below /var/lib/osguard while the service was not looking. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';
import { chainId } from '../src/snapshotter/chain-id.ts';
import { openMetadata } from '../src/snapshotter/metadata.ts';
import { mustNotLead, ownFolder, readOwnFile } from '../src/snapshotter/own-files.ts';
import { diffId, startRig, unpack } from './support/snapshotter-rig.ts';

const base = chainId([diffId(1)]);
const pipe = (path: string): void => void execFileSync('mkfifo', [path]);

void test('a link in place of a folder is replaced, and what it led to is left alone', async () => {
  using dir = scratch('planted');
  mkdirSync(dir.file('precious'));
  writeFileSync(dir.file('precious/file'), 'x');
  for (const name of ['layers', 'snapshots']) {
    symlinkSync(dir.file('precious'), dir.file(name));
    await ownFolder(dir.file(name), 0o711);
    assert.ok(lstatSync(dir.file(name)).isDirectory());
    assert.equal(statSync(dir.file(name)).mode & 0o777, 0o711);
  }
  assert.deepEqual(readdirSync(dir.file('precious')), ['file']);
  symlinkSync(dir.file('precious'), dir.file('state'));
  await assert.rejects(mustNotLead(dir.file('state')), /is a link to .*precious/);
});

void test('a file is read only when it is one, and never waited for', () => {
  using dir = scratch('planted');
  writeFileSync(dir.file('file'), 'x');
  symlinkSync(dir.file('file'), dir.file('link'));
  pipe(dir.file('pipe'));
  assert.deepEqual([...(readOwnFile(dir.file('file'), 1) ?? [])], [0x78]);
  assert.equal(readOwnFile(dir.file('nothing'), 1), undefined);
  assert.throws(() => readOwnFile(dir.file('file'), 0), /has 1 bytes/);
  assert.throws(() => readOwnFile(dir.file('link'), 1), /ELOOP/);
  assert.throws(() => readOwnFile(dir.file('pipe'), 1), /is no file/);
  assert.throws(() => readOwnFile('/dev/zero', 1), /is no file/);
});

void test('the service starts over whatever lies in its folders', { timeout: 30_000 }, async () => {
  using dir = scratch('planted');
  {
    await using rig = await startRig(dir.path);
    await unpack(rig, 1, { name: base });
  }
  writeFileSync(dir.file('precious'), 'x');
  const incoming = dir.file('layers/incoming');
  symlinkSync('/nowhere', join(incoming, 'one.part'));
  symlinkSync(dir.file('precious'), join(incoming, 'two.part'));
  mkdirSync(join(incoming, 'three.index'));
  pipe(join(incoming, 'four.index'));
  pipe(dir.file('layers/pipe'));
  pipe(dir.file('snapshots/pipe'));
  const hex = diffId(1).slice(7);
  rmSync(dir.file(`layers/${hex}`), { recursive: true });
  symlinkSync(dir.path, dir.file(`layers/${hex}`));
  await using rig = await startRig(dir.path);
  assert.deepEqual(readdirSync(incoming), []);
  assert.deepEqual(readdirSync(dir.file('snapshots')), []);
  assert.ok(lstatSync(dir.file(`layers/${hex}`)).isDirectory());
  assert.equal(readFileSync(dir.file('precious'), 'utf8'), 'x');
  await assert.rejects(
    rig.snapshots.prepare({ key: 'container', parent: base, labels: {} }),
    /signature .* is gone/,
  );
  await unpack(rig, 1, { name: 'again' });
  await rig.snapshots.prepare({ key: 'container', parent: base, labels: {} });
});

void test('the writable folder of a container is never behind a link', async () => {
  using dir = scratch('planted');
  await using rig = await startRig(dir.path);
  await unpack(rig, 1, { name: base });
  const { mounts } = await rig.snapshots.prepare({ key: 'container', parent: base, labels: {} });
  const upper = mounts[0]?.options.find((each) => each.startsWith('upperdir='))?.slice(9) ?? assert.fail();
  for (const path of [upper, upper.replace(/fs$/, 'work'), upper.replace(/\/fs$/, '')]) {
    rmSync(path, { recursive: true });
    symlinkSync('/run', path);
    await assert.rejects(rig.snapshots.mounts({ key: 'container' }), /is no folder/, path);
    rmSync(path);
    mkdirSync(path);
  }
});

void test('a signature that was replaced by a pipe is not waited for', { timeout: 30_000 }, async () => {
  using dir = scratch('planted');
  await using rig = await startRig(dir.path);
  await unpack(rig, 1, { name: base });
  const signature = dir.file(`layers/${diffId(1).slice(7)}/layer.p7s`);
  rmSync(signature);
  pipe(signature);
  await assert.rejects(
    rig.snapshots.prepare({ key: 'container', parent: base, labels: {} }),
    /is no file and is not used/,
  );
});

for (const [what, spoil] of Object.entries<(path: string) => void>({
  'is no database': (path) => writeFileSync(path, 'rubbish'.repeat(1000)),
  'has a page overwritten': (path) => {
    const bytes = readFileSync(path);
    bytes.fill(0xff, 4096, 8192);
    writeFileSync(path, bytes);
  },
  'has a trigger of somebody else': (path) => {
    using database = new DatabaseSync(path);
    database.exec('CREATE TRIGGER t AFTER INSERT ON snapshots BEGIN UPDATE layers SET signed = 0; END');
  },
  'has a view in place of a table': (path) => {
    using database = new DatabaseSync(path);
    database.exec('DROP TABLE snapshots; CREATE VIEW snapshots AS SELECT 1 AS id');
  },
})) {
  void test(`a database that ${what} is begun anew`, async () => {
    using dir = scratch('planted');
    const path = dir.file('layers.db');
    const log: string[] = [];
    const open = (): ReturnType<typeof openMetadata> => openMetadata(path, (line) => log.push(line));
    const layer = { rootHash: '1'.repeat(64), diffId: diffId(1), size: 1, hashOffset: 1, signed: true };
    {
      using metadata = await open();
      metadata.addLayer(layer);
    }
    {
      using metadata = await open();
      assert.equal(metadata.layers().length, 1, 'kept while it is good');
    }
    spoil(path);
    using metadata = await open();
    assert.deepEqual(metadata.layers(), []);
    assert.match(log.join('\n'), /begun anew/);
    assert.ok(existsSync(`${path}.broken`));
    metadata.passOver(41);
    assert.equal(
      metadata.addLayer(layer).id,
      42,
      'a number of a volume that is still open is not given again',
    );
  });
}

void test('a link or a pipe in place of the database is not opened', { timeout: 10_000 }, async () => {
  using dir = scratch('planted');
  writeFileSync(dir.file('precious'), '');
  symlinkSync(dir.file('precious'), dir.file('layers.db'));
  pipe(dir.file('layers.db-wal'));
  using metadata = await openMetadata(dir.file('layers.db'), () => undefined);
  assert.deepEqual(metadata.layers(), []);
  assert.equal(statSync(dir.file('precious')).size, 0);
});
