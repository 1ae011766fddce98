import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  linkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { sourceOf } from '@osguard/formats/bytes';
import { readCpio, writeCpio } from '@osguard/formats/cpio';
import type { CpioEntry, CpioReadEntry } from '@osguard/formats/cpio';
import { judge, noJudge, scratch } from '@osguard/testkit';

const base = { mode: 0o755, uid: 0, gid: 0, mtime: 1_700_000_000 };
const text = (value: string) => sourceOf(Buffer.from(value));

const initrd: readonly CpioEntry[] = [
  { ...base, path: 'dev', kind: 'directory' },
  { ...base, path: 'dev/console', kind: 'character-device', mode: 0o600, major: 5, minor: 1 },
  { ...base, path: 'dev/vda', kind: 'block-device', mode: 0o660, gid: 6, major: 254, minor: 0 },
  { ...base, path: 'run', kind: 'directory', mode: 0o1777 },
  { ...base, path: 'run/pipe', kind: 'fifo', mode: 0o644 },
  { ...base, path: 'usr', kind: 'directory' },
  {
    ...base,
    path: 'usr/init',
    kind: 'file',
    mode: 0o4755,
    body: text('#!init'),
    links: ['init', 'usr/init2'],
  },
  {
    ...base,
    path: 'usr/größe',
    kind: 'file',
    mode: 0o644,
    uid: 70_000,
    body: sourceOf(new Uint8Array(100_001)),
  },
  { ...base, path: 'usr/empty', kind: 'file', body: text('') },
  { ...base, path: 'sbin', kind: 'symlink', mode: 0o777, target: 'usr/sbin' },
];

function archive(entries: readonly CpioEntry[]): Buffer {
  return Buffer.concat([...writeCpio(entries)].map((chunk) => Uint8Array.from(chunk)));
}

function bodyText(entry: CpioReadEntry | undefined): string {
  assert.ok(entry);
  return Buffer.from(entry.body.read(0, entry.body.size)).toString();
}

test('an archive is read back; the data of a file with several names comes with the last', () => {
  const read = [...readCpio(sourceOf(archive(initrd)))];
  const names = initrd.flatMap((e) => (e.kind === 'file' ? [e.path].concat(e.links ?? []) : [e.path]));
  assert.deepEqual(
    read.map(({ path }) => path),
    names,
  );
  const find = (path: string) => read.find((entry) => entry.path === path);
  assert.equal(bodyText(find('usr/init')), '');
  assert.equal(bodyText(find('usr/init2')), '#!init');
  assert.deepEqual(
    ['usr/init', 'init', 'usr/init2'].map((path) => [find(path)?.ino, find(path)?.nlink]),
    [
      [7, 3],
      [7, 3],
      [7, 3],
    ],
  );
  assert.equal(find('usr/größe')?.uid, 70_000);
  assert.equal(find('usr/init')?.mode, 0o4755);
  assert.equal(find('sbin')?.target, 'usr/sbin');
  assert.deepEqual([find('dev/vda')?.major, find('dev/vda')?.minor], [254, 0]);
  assert.equal(archive(initrd).length % 4, 0);
});

test('any files go round', () => {
  const name = fc
    .stringMatching(/^[^/\0]{1,40}$/u)
    .filter((n) => n !== '.' && n !== '..' && n !== 'TRAILER!!!');
  const file = fc.record({
    path: name,
    mode: fc.nat(0o7777),
    uid: fc.nat(0xffff_ffff),
    gid: fc.nat(0xffff_ffff),
    mtime: fc.nat(0xffff_ffff),
    bytes: fc.uint8Array({ maxLength: 50 }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(file, { selector: ({ path }) => path }), (files) => {
      const entries = files.map(({ path, mode, uid, gid, mtime, bytes }): CpioEntry => {
        return { path, mode, uid, gid, mtime, kind: 'file', body: sourceOf(bytes) };
      });
      const read = [...readCpio(sourceOf(archive(entries)))];
      assert.equal(read.length, files.length);
      for (const [i, { bytes, ...attributes }] of files.entries()) {
        const { path, mode, uid, gid, mtime, body } = read[i] as CpioReadEntry;
        assert.deepEqual({ path, mode, uid, gid, mtime }, { ...attributes });
        assert.deepEqual([...body.read(0, body.size)], [...bytes]);
      }
    }),
  );
});

test('archives in a row with zeros between, and what may follow them', () => {
  const one = archive(initrd.slice(0, 2));
  const two = archive(initrd.slice(3, 5));
  const row = Buffer.concat([one, new Uint8Array(508), two, new Uint8Array(3)]);
  assert.deepEqual(
    [...readCpio(sourceOf(row))].map((entry) => [entry.archive, entry.path]),
    [
      [0, 'dev'],
      [0, 'dev/console'],
      [1, 'run'],
      [1, 'run/pipe'],
    ],
  );
  const zstd = Buffer.concat([one, Buffer.from([0x28, 0xb5, 0x2f, 0xfd])]);
  assert.throws(() => [...readCpio(sourceOf(zstd))], { code: 'malformed', offset: one.length });
  const tails: number[] = [];
  assert.equal([...readCpio(sourceOf(zstd), { onTail: (at) => tails.push(at) })].length, 2);
  assert.deepEqual(tails, [one.length]);
  const unaligned = Buffer.concat([one, new Uint8Array(2), two]);
  assert.throws(() => [...readCpio(sourceOf(unaligned))], { code: 'malformed' });
});

test('cut archives, other forms and broken fields are refused with their place', () => {
  const good = archive(initrd);
  for (const length of [0, 5, 109, 113, 200, good.length - 124, good.length - 1]) {
    assert.throws(
      () => [...readCpio(sourceOf(good.subarray(0, length)))],
      { name: 'FormatError' },
      `${length}`,
    );
  }
  const edit = (at: number, value: string) => {
    const bytes = Buffer.from(good);
    bytes.write(value, at, 'latin1');
    return () => [...readCpio(sourceOf(bytes))];
  };
  assert.throws(edit(0, '070707'), { code: 'unsupported' });
  assert.throws(edit(0, '170701'), { code: 'not-this-format', offset: 0 });
  assert.throws(edit(6, '+0000001'), { code: 'malformed', offset: 6 });
  assert.throws(edit(14, '0000ffff'), /mode/);
  assert.throws(edit(54, '00000001'), /directory with a body|070701 is missing/);
  assert.throws(edit(94, 'ffffffff'), { code: 'malformed', offset: 94 });
  assert.throws(edit(111, '\0'), /NUL is not its last byte/);
  assert.equal(edit(111, '\xff')()[0]?.path, 'd\udcffv');
});

test('the checksum of form 070702 is verified', () => {
  const bytes = archive([{ ...base, path: 'f', kind: 'file', body: text('abc') }]);
  bytes.write('070702', 'latin1');
  assert.throws(() => [...readCpio(sourceOf(bytes))], { code: 'checksum' });
  bytes.write((97 + 98 + 99).toString(16).padStart(8, '0'), 102, 'latin1');
  assert.equal(bodyText([...readCpio(sourceOf(bytes))][0]), 'abc');
});

test('what the kernel would not unpack as meant is not written', () => {
  const file: CpioEntry = { ...base, path: 'a', kind: 'file', body: text('') };
  const cases: readonly (readonly [readonly CpioEntry[], RegExp])[] = [
    [[{ ...file, path: '/a' }], /plain relative/],
    [[{ ...file, path: 'a/../b' }], /plain relative/],
    [[{ ...file, path: '' }], /plain relative/],
    [[{ ...file, path: 'TRAILER!!!' }], /end mark/],
    [[{ ...file, path: 'x'.repeat(4096) }], /longer than 4095/],
    [[{ ...file, path: 'd/a' }], /before its folder "d"/],
    [[file, file], /twice/],
    [[{ ...file, links: ['a'] }], /twice/],
    [[{ ...file, mode: 0o100644 }], /permission bits/],
    [[{ ...file, mtime: -1 }], /32 bits/],
    [[{ ...file, body: { size: 2 ** 32, read: () => assert.fail() } }], /32 bits/],
    [[{ ...base, path: 'l', kind: 'symlink', target: '' }], /target/],
  ];
  for (const [entries, message] of cases)
    assert.throws(() => archive(entries), { name: 'FormatError', message });
});

const cpio = judge('cpio');
test('GNU cpio lists and unpacks what is written', { skip: !cpio && noJudge('cpio') }, () => {
  assert.ok(cpio);
  using dir = scratch('cpio');
  const isRoot = process.getuid?.() === 0;
  const entries = initrd.filter((e) => isRoot || !e.kind.endsWith('device'));
  const input = archive(entries);
  const listing = cpio.run(['-t'], { input });
  assert.equal(listing.status, 0, listing.stderr);
  const names = entries.flatMap((e) => (e.kind === 'file' ? [e.path].concat(e.links ?? []) : [e.path]));
  assert.deepEqual(listing.stdout.trim().split('\n'), names);
  const unpacked = cpio.run(['-i', '-m', '--no-absolute-filenames'], { input, cwd: dir.path });
  assert.equal(unpacked.status, 0, unpacked.stderr);
  const stat = (path: string) => lstatSync(join(dir.path, path));
  assert.equal(stat('usr/init').ino, stat('usr/init2').ino);
  assert.equal(stat('usr/init').nlink, 3);
  assert.equal(stat('usr/größe').size, 100_001);
  assert.equal(stat('usr/größe').mtimeMs, base.mtime * 1000);
  assert.equal(stat('run').mode & 0o7777, 0o1777);
  assert.equal(readFileSync(join(dir.path, 'init'), 'utf8'), '#!init');
  assert.equal(readlinkSync(join(dir.path, 'sbin')), 'usr/sbin');
  if (isRoot) assert.equal(stat('dev/console').rdev, (5 << 8) | 1);
});

test('archives made by GNU cpio are read', { skip: !cpio && noJudge('cpio') }, () => {
  assert.ok(cpio);
  using dir = scratch('cpio');
  mkdirSync(dir.file('d'));
  writeFileSync(dir.file('d/a'), 'hello');
  linkSync(dir.file('d/a'), dir.file('d/b'));
  symlinkSync('a', dir.file('d/l'));
  for (const format of ['newc', 'crc']) {
    const path = dir.file(`${format}.cpio`);
    const made = cpio.run(['-o', '-H', format, '-O', path], {
      cwd: dir.path,
      input: Buffer.from('d\nd/a\nd/b\nd/l\n'),
    });
    assert.equal(made.status, 0, made.stderr);
    const read = [...readCpio(sourceOf(readFileSync(path)))];
    assert.deepEqual(read.map((entry) => entry.path).sort(), ['d', 'd/a', 'd/b', 'd/l']);
    const links = read.filter(({ kind }) => kind === 'file');
    assert.equal(links[0]?.ino, links[1]?.ino);
    assert.deepEqual(links.map(bodyText).sort(), ['', 'hello']);
    assert.equal(read.find(({ path: p }) => p === 'd/l')?.target, 'a');
  }
});
