import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeText, sourceOf } from '@osguard/formats/bytes';
import { readTar, safePath, writeTar } from '@osguard/formats/tar';
import type { TarReadEntry, TarWriteEntry } from '@osguard/formats/tar';
import { judge, noJudge, scratch } from '@osguard/testkit';

const deep = 'a-folder-with-a-rather-long-name/'.repeat(6);
const tricky = `${deep}${'ä'.repeat(80)}`;
const content = Buffer.from('some bytes\n'.repeat(200));

/** A tree with all that ordinary users can make. */
function makeTree(root: string): void {
  mkdirSync(join(root, deep), { recursive: true });
  writeFileSync(join(root, tricky), content);
  writeFileSync(join(root, 'plain'), content);
  writeFileSync(join(root, 'empty'), '');
  chmodSync(join(root, 'empty'), 0o4711);
  linkSync(join(root, 'plain'), join(root, 'plain-link'));
  symlinkSync(`/${'target/'.repeat(30)}`, join(root, 'long-symlink'));
  utimesSync(join(root, 'plain'), 1_600_000_000, 1_600_000_000.5);
}

function load(path: string): Map<string, { readonly entry: TarReadEntry; readonly body: Buffer }> {
  const loaded = new Map<string, { entry: TarReadEntry; body: Buffer }>();
  let pieces: Uint8Array[] = [];
  for (const event of readTar([readFileSync(path)])) {
    if (event.type === 'entry') pieces = [];
    else if (event.type === 'data') pieces.push(event.bytes);
    else loaded.set(safePath(event.entry.path), { entry: event.entry, body: Buffer.concat(pieces) });
  }
  return loaded;
}

function checkTree(path: string, root: string, fractions: boolean): void {
  const loaded = load(path);
  const plain = loaded.get('plain')?.entry.kind === 'file' ? 'plain' : 'plain-link';
  const link = plain === 'plain' ? 'plain-link' : 'plain';
  for (const name of [plain, tricky]) assert.deepEqual(loaded.get(name)?.body, content, name);
  assert.equal(loaded.get(link)?.entry.kind, 'hardlink');
  assert.equal(safePath(loaded.get(link)?.entry.linkPath ?? ''), plain);
  assert.equal(loaded.get('empty')?.entry.mode, 0o4711);
  assert.equal(loaded.get('long-symlink')?.entry.linkPath, readlinkSync(join(root, 'long-symlink')));
  assert.equal(loaded.get(deep.slice(0, -1))?.entry.kind, 'directory');
  assert.equal(loaded.get('plain')?.entry.uid, lstatSync(join(root, 'plain')).uid);
  const mtime = loaded.get(plain)?.entry.mtime;
  assert.deepEqual(mtime, { seconds: 1_600_000_000, nanoseconds: fractions ? 500_000_000 : 0 });
}

const tar = judge('tar');
const bsdtar = judge('bsdtar');
const forms: readonly (readonly [string, typeof tar, readonly string[], boolean])[] = [
  ['GNU tar, gnu', tar, ['--format=gnu'], false],
  ['GNU tar, oldgnu', tar, ['--format=oldgnu'], false],
  ['GNU tar, pax', tar, ['--format=pax'], true],
  [
    'GNU tar, pax with a global header',
    tar,
    ['--format=pax', '--pax-option=globexthdr.name=g,comment=hello'],
    true,
  ],
  ['GNU tar, numeric owner, small records', tar, ['--format=gnu', '--numeric-owner', '-b1'], false],
  ['bsdtar, pax', bsdtar, ['--format=pax'], true],
  ['bsdtar, gnutar', bsdtar, ['--format=gnutar'], false],
];
for (const [what, tool, options, fractions] of forms) {
  test(`${what} is read`, { skip: !tool && noJudge(what.split(',')[0] ?? '') }, () => {
    assert.ok(tool);
    using dir = scratch('tar');
    const root = dir.file('root');
    mkdirSync(root);
    makeTree(root);
    const path = dir.file('out.tar');
    const made = tool.run([...options, '-cf', path, '-C', root, '.']);
    assert.equal(made.status, 0, made.stderr);
    checkTree(path, root, fractions);
  });
}

test('v7 and ustar archives are read', { skip: !tar && noJudge('tar') }, () => {
  assert.ok(tar);
  using dir = scratch('tar');
  mkdirSync(dir.file('d'));
  writeFileSync(dir.file('d/f'), content);
  for (const form of ['v7', 'ustar']) {
    assert.equal(tar.run([`--format=${form}`, '-cf', dir.file('o.tar'), '-C', dir.path, 'd']).status, 0);
    const loaded = load(dir.file('o.tar'));
    assert.equal(loaded.get('d')?.entry.kind, 'directory');
    assert.deepEqual(loaded.get('d/f')?.body, content);
  }
});

test('sparse files of every form are refused', { skip: !tar && noJudge('tar') }, () => {
  assert.ok(tar);
  using dir = scratch('tar');
  writeFileSync(dir.file('holes'), 'x');
  truncateSync(dir.file('holes'), 10 * 1024 * 1024);
  const forms2 = ['gnu', 'pax --sparse-version=0.0', 'pax --sparse-version=0.1', 'pax --sparse-version=1.0'];
  for (const form of forms2) {
    const options = `--format=${form}`.split(' ');
    assert.equal(tar.run([...options, '-S', '-cf', dir.file('o.tar'), '-C', dir.path, 'holes']).status, 0);
    assert.throws(() => load(dir.file('o.tar')), { code: 'unsupported', message: /sparse/ }, form);
  }
});

test('extended attributes go both ways', { skip: !tar && noJudge('tar') }, (t) => {
  assert.ok(tar);
  using dir = scratch('tar');
  const value = Buffer.from('a\nb\0c');
  const entry: TarWriteEntry = {
    path: 'f',
    kind: 'file',
    mode: 0o644,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    mtime: { seconds: 1, nanoseconds: 0 },
    xattrs: new Map([['user.osguard', value]]),
  };
  writeFileSync(dir.file('in.tar'), Buffer.concat([...writeTar([entry])]));
  const unpacked = tar.run(['--xattrs', '-xf', dir.file('in.tar'), '-C', dir.path]);
  if (/not supported|cannot set/i.test(unpacked.stderr))
    return t.skip('no user attributes on this file system');
  assert.equal(unpacked.status, 0, unpacked.stderr);
  for (const tool of [tar, bsdtar]) {
    if (tool === undefined) continue;
    const made = tool.run(['--xattrs', '-cf', dir.file('out.tar'), '-C', dir.path, 'f']);
    assert.equal(made.status, 0, made.stderr);
    assert.deepEqual(
      Buffer.from(load(dir.file('out.tar')).get('f')?.entry.xattrs.get('user.osguard') ?? ''),
      value,
    );
  }
  return undefined;
});

const isRoot = process.getuid?.() === 0;
const base = { mode: 0o755, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const mtime = { seconds: 1_600_000_000, nanoseconds: 250_000_000 };
const notUtf8 = Buffer.from('d/latin1-\xe9', 'latin1');
const ours: readonly TarWriteEntry[] = [
  { ...base, mtime, path: 'd', kind: 'directory' },
  { ...base, mtime, path: `d/${tricky}`, kind: 'file', body: sourceOf(content) },
  { ...base, mtime, path: 'd/f', kind: 'file', mode: 0o4755, body: sourceOf(content) },
  { ...base, mtime, path: 'd/h', kind: 'hardlink', linkPath: 'd/f' },
  { ...base, mtime, path: 'd/s', kind: 'symlink', linkPath: `/${'x/'.repeat(100)}é` },
  { ...base, mtime, path: 'd/p', kind: 'fifo' },
  { ...base, mtime, path: decodeText(notUtf8), kind: 'file', body: sourceOf(content) },
  ...(isRoot ? [{ ...base, mtime, path: 'd/c', kind: 'character-device', major: 1, minor: 3 } as const] : []),
  { ...base, mtime, path: 'd/big-ids', kind: 'file', uid: 3_000_000_000, gid: 2_097_152 },
];

for (const [what, tool] of [
  ['GNU tar', tar],
  ['bsdtar', bsdtar],
] as const) {
  test(`${what} unpacks what is written`, { skip: !tool && noJudge(what) }, () => {
    assert.ok(tool);
    using dir = scratch('tar');
    const path = dir.file('in.tar');
    writeFileSync(path, Buffer.concat([...writeTar(ours)]));
    const listing = tool.run(['--numeric-owner', '-tvf', path]);
    assert.equal(listing.status, 0, listing.stderr);
    assert.match(listing.stdout, /3000000000[ /]+2097152/);
    assert.match(listing.stdout, /d\/h link to d\/f/);
    const exclude = isRoot ? [] : ['--exclude', 'd/big-ids'];
    const unpacked = tool.run(['-xpf', path, '-C', dir.path, ...exclude]);
    assert.equal(unpacked.status, 0, unpacked.stderr);
    assert.deepEqual(readFileSync(dir.file(`d/${tricky}`)), content);
    assert.deepEqual(readFileSync(Buffer.concat([Buffer.from(`${dir.path}/`), notUtf8])), content);
    assert.equal(lstatSync(dir.file('d/f')).ino, lstatSync(dir.file('d/h')).ino);
    assert.equal(lstatSync(dir.file('d/f')).mode & 0o7777, 0o4755);
    assert.equal(lstatSync(dir.file('d/f')).mtimeMs, 1_600_000_000_250);
    assert.equal(readlinkSync(dir.file('d/s')), ours[4]?.linkPath);
    if (isRoot) assert.equal(lstatSync(dir.file('d/c')).rdev, (1 << 8) | 3);
    if (isRoot) assert.equal(lstatSync(dir.file('d/big-ids')).uid, 3_000_000_000);
  });
}
