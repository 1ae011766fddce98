import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { sourceOf } from '@osguard/formats/bytes';
import { gptTypes } from '@osguard/formats/gpt';
import { initKeys, loadKeyring } from '@osguard/keys';
import { scratch } from '@osguard/testkit';
import { writeDisk } from '../src/disk/assemble.ts';
import type { ImageEntry } from '../src/erofs/index.ts';
import { writeErofsImage } from '../src/erofs/index.ts';
import type { ImageDiff } from '../src/index.ts';
import { diffImages } from '../src/index.ts';
import { diffLines } from '../src/diff/lines.ts';
import { writeSmallRelease } from './small-release.ts';

function entries({ parts }: ImageDiff, id: string): readonly string[] {
  const part = parts.find((each) => each.id === id);
  return (part?.entries ?? []).map(({ change, name, fields }) =>
    [change, name, ...(change === 'changed' ? fields.map(({ field }) => field) : [])].join(' '),
  );
}

const common = { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
const label = (text: string): ReadonlyMap<string, Uint8Array> =>
  new Map([['security.selinux', Buffer.from(`${text}\0`)]]);

function writeImage(path: string, list: readonly ImageEntry[], buildTime = 1): void {
  const fd = openSync(path, 'w');
  writeErofsImage([{ ...common, path: '/', type: 'directory' }, ...list], {
    fd,
    uuid: new Uint8Array(16),
    buildTime,
  });
  closeSync(fd);
}

describe('files of two file systems', () => {
  const file = (path: string, more: Partial<Extract<ImageEntry, { type: 'file' }>> = {}): ImageEntry => ({
    ...common,
    path,
    type: 'file',
    body: new Uint8Array(100),
    ...more,
  });
  const before: ImageEntry[] = [
    { ...common, path: '/a', type: 'directory' },
    file('/a/gone'),
    file('/a/same'),
    file('/a-b', { xattrs: label('x') }),
    file('/content'),
    file('/mode'),
    file('/owner'),
    file('/size'),
    file('/type'),
    { ...common, path: '/link', type: 'symlink', target: 'a' },
  ];

  test('are compared one by one, whatever sorts between folders and what they hold', async () => {
    using dir = scratch('diff');
    writeImage(dir.file('a'), before);
    const body = new Uint8Array(100);
    body[99] = 1;
    const capability = Uint8Array.from(Buffer.from('0100000200200000000000000000000000000000', 'hex'));
    writeImage(dir.file('b'), [
      { ...common, path: '/a', type: 'directory' },
      file('/a/same', { mtime: 99 }),
      file('/a/z-new'),
      file('/a-b', { xattrs: label('y') }),
      file('/a.new'),
      file('/content', { body }),
      file('/mode', { mode: 0o4755, xattrs: new Map([['security.capability', capability]]) }),
      file('/owner', { uid: 1, gid: 2 }),
      file('/size', { body: new Uint8Array(101) }),
      { ...common, path: '/link', type: 'symlink', target: 'b' },
      { ...common, path: '/type', type: 'directory' },
    ]);
    const diff = await diffImages(dir.file('a'), dir.file('b'));
    assert.deepEqual(entries(diff, 'usr-files'), [
      'removed /usr/a/gone',
      'added /usr/a/z-new',
      'changed /usr/a-b label',
      'added /usr/a.new',
      'changed /usr/content sha256',
      'changed /usr/link target',
      'changed /usr/mode mode capabilities',
      'changed /usr/owner owner',
      'changed /usr/size size sha256',
      'changed /usr/type type size',
    ]);
    assert.deepEqual([diff.same, diff.findings], [false, []]);
    const back = await diffImages(dir.file('b'), dir.file('a'));
    assert.deepEqual([back.parts[0]?.added, back.parts[0]?.removed], [1, 2]);
  });

  test('do not differ by their times', async () => {
    using dir = scratch('diff');
    writeImage(dir.file('a'), before);
    writeImage(dir.file('b'), before, 77);
    const diff = await diffImages(dir.file('a'), dir.file('b'));
    assert.deepEqual([diff.same, diff.parts], [true, []]);
  });

  test('that cannot be read are not the same', async () => {
    using dir = scratch('diff');
    writeImage(dir.file('a'), before);
    const bytes = readFileSync(dir.file('a'));
    const at = bytes.indexOf('gone', 0, 'latin1');
    // A directory whose names are out of order.
    bytes[at] = 0x7a;
    writeFileSync(dir.file('b'), bytes);
    for (const [a, b] of [
      ['a', 'b'],
      ['b', 'b'],
    ] as const) {
      const diff = await diffImages(dir.file(a), dir.file(b));
      assert.equal(diff.same, false, `${a} ${b}`);
      assert.ok(diff.findings.some(({ kind, side }) => kind === 'unreadable' && side === 'b'));
    }
  });
});

test('two releases', async () => {
  using dir = scratch('diff');
  const rsaBits = { usr: 2048, layers: 2048, release: 2048 } as const;
  await initKeys(dir.file('ours'), { rsaBits });
  await initKeys(dir.file('foreign'), { rsaBits, name: 'foreign' });
  const keyring = await loadKeyring(dir.file('ours'));
  await writeSmallRelease(dir.file('a'), { keyring });
  await writeSmallRelease(dir.file('b'), {
    keyring,
    change: {
      selinux: 'permissive',
      policy: (text) => `${text}op=EXECUTE fsverity_signature=TRUE action=ALLOW\n`,
      commandLine: (line) => line.replace('ipe.enforce=1', 'ipe.enforce=0'),
      bootSigner: await loadKeyring(dir.file('foreign')),
    },
  });
  const same = await diffImages(dir.file('a'), dir.file('a'));
  assert.deepEqual([same.same, same.parts, same.findings], [true, [], []]);
  const diff = await diffImages(dir.file('a'), dir.file('b'));
  assert.equal(diff.same, false);
  assert.deepEqual(entries(diff, 'usr-files'), ['changed /usr/share/selinux-etc/config size sha256']);
  assert.deepEqual(entries(diff, 'selinux'), ['changed SELinux mode']);
  assert.deepEqual(entries(diff, 'command-line'), ['changed usrhash value', 'changed ipe.enforce value']);
  assert.deepEqual(
    entries(diff, 'initrd-files').filter((line) => !line.startsWith('changed /etc/verity/usr.p7s')),
    ['changed /etc/ipe/osguard.p7b size sha256'],
  );
  assert.ok(entries(diff, 'ipe-lines').includes('added op=EXECUTE fsverity_signature=TRUE action=ALLOW'));
  assert.deepEqual(entries(diff, 'signers').slice(0, 2), [
    'changed boot image signer',
    'changed IPE policy, initrd /etc/ipe/osguard.p7b signer',
  ]);
  assert.ok(entries(diff, 'root-hash').includes('changed root hash value'));
  assert.ok(entries(diff, 'uki-sections').includes('changed .cmdline sha256'));
  assert.deepEqual([entries(diff, 'packages'), entries(diff, 'esp-files')], [[], []]);
});

test('a partition nobody can read is compared byte by byte', async () => {
  using dir = scratch('diff');
  const write = (name: string, octet: number): void => {
    const body = new Uint8Array(5000).fill(3);
    body[4321] = octet;
    writeDisk(dir.file(name), {
      diskGuid: '11111111-2222-3333-4444-555555555555',
      partitions: [
        {
          type: gptTypes.linuxGeneric,
          guid: '11111111-2222-3333-4444-000000000001',
          name: 'data',
          size: 4 * 1024 * 1024,
          content: [{ offset: 2 * 1024 * 1024, body: sourceOf(body) }],
        },
      ],
    });
  };
  write('a', 3);
  write('b', 4);
  write('c', 3);
  assert.equal((await diffImages(dir.file('a'), dir.file('c'))).same, true);
  const diff = await diffImages(dir.file('a'), dir.file('b'));
  assert.deepEqual(diff.parts[0]?.entries[0]?.fields, [
    { field: 'content', after: `differs from byte ${2 * 1024 * 1024 + 4321} on` },
  ]);
});

test('line differences leave the same common lines on both sides', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      const changes = diffLines(a, b);
      const count = (change: string): number => changes.filter((each) => each.change === change).length;
      assert.equal(a.length - count('removed'), b.length - count('added'));
      if (a.join() === b.join()) assert.equal(changes.length, 0);
    }),
  );
  assert.deepEqual(diffLines(['x', 'y', 'z'], ['x', 'n', 'z']), [
    { change: 'removed', line: 'y' },
    { change: 'added', line: 'n' },
  ]);
});
