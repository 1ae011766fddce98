/** Arbitrary archives against a model of them; and that nothing but the archive decides what an image is. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import type { TarWriteEntry } from '@osguard/formats/tar';
import { convertLayer } from '@osguard/layers';
import { scratch } from '@osguard/testkit';
import { convert, describe as at, dir, file, link, paths, symlink, tarOf } from './support/layer.ts';

const names = ['a', 'b', 'ä', 'z\udcfe', 'long'.repeat(40)];
const path = fc
  .array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'));
const metadata = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1000, 65_535, 65_536, 4_294_967_294),
  gid: fc.constantFrom(0, 5, 70_000),
  mtime: fc.record({
    seconds: fc.integer({ min: -10, max: 2 ** 33 }),
    nanoseconds: fc.constantFrom(0, 1, 999_999_999),
  }),
  xattrs: fc.constantFrom(
    new Map<string, Uint8Array>(),
    new Map([['user.a', Buffer.from('1')]]),
    new Map([['security.capability', Buffer.alloc(20, 1)]]),
  ),
});
// Around the sizes at which a tail fits behind its inode, fills a block, or needs one more.
const body = fc
  .tuple(
    fc.constantFrom(0, 1, 511, 512, 4000, 4032, 4033, 4095, 4096, 4097, 9000),
    fc.integer({ max: 255, min: 1 }),
  )
  .map(([size, byte]) => Buffer.alloc(size, byte));

const entry: fc.Arbitrary<TarWriteEntry> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(path, body, metadata).map(([where, bytes, rest]) => file(where, bytes, rest)),
  },
  { weight: 2, arbitrary: fc.tuple(path, metadata).map(([where, rest]) => dir(where, rest)) },
  { weight: 1, arbitrary: fc.tuple(path, path).map(([where, target]) => link(where, target)) },
  { weight: 1, arbitrary: fc.tuple(path, metadata).map(([where, rest]) => symlink(where, 'nowhere', rest)) },
);

interface ModelNode {
  readonly entry: TarWriteEntry;
  readonly names: Set<string>;
}

/** What is left of entries that can all be taken: the others are left out of the archive, too. */
function model(entries: readonly TarWriteEntry[]): {
  readonly taken: readonly TarWriteEntry[];
  readonly tree: ReadonlyMap<string, ModelNode>;
} {
  const tree = new Map<string, ModelNode>();
  const taken: TarWriteEntry[] = [];
  for (const one of entries) {
    const parents = one.path
      .split('/')
      .slice(0, -1)
      .map((_, index, all) => all.slice(0, index + 1).join('/'));
    const isDirectory = (where: string): boolean => tree.get(where)?.entry.kind === 'directory';
    if (parents.some((parent) => tree.has(parent) && !isDirectory(parent))) continue;
    const target = one.kind === 'hardlink' ? tree.get(one.linkPath ?? '') : undefined;
    if (one.kind === 'hardlink') {
      const below = (one.linkPath ?? '').startsWith(`${one.path}/`);
      if (target === undefined || target.entry.kind === 'directory' || one.linkPath === one.path || below)
        continue;
    }
    taken.push(one);
    for (const parent of parents) {
      if (!tree.has(parent)) {
        const implicit = dir(parent, { mtime: { seconds: 0, nanoseconds: 0 } });
        tree.set(parent, { entry: implicit, names: new Set() });
      }
    }
    if (!(one.kind === 'directory' && isDirectory(one.path))) {
      for (const known of tree.keys()) {
        if (known !== one.path && !known.startsWith(`${one.path}/`)) continue;
        tree.get(known)?.names.delete(known);
        tree.delete(known);
      }
    }
    const node = target ?? { entry: one, names: new Set() };
    node.names.add(one.path);
    tree.set(one.path, node);
  }
  return { taken, tree };
}

const pieces = [1, 7, 511, 512, 513, 4096, 100_000];

describe('layers: arbitrary archives', () => {
  it('read back as what they say', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 25 }),
        fc.constantFrom(...pieces),
        async (entries, piece) => {
          const { taken, tree } = model(entries);
          const { image } = await convert(tarOf(...taken), { piece });
          assert.deepEqual(new Set(paths(image)), new Set(Array.from(tree.keys(), (where) => `/${where}`)));
          for (const [where, { entry: expected, names: all }] of tree) {
            const node = image.lookup(`/${where}`);
            assert.ok(node);
            const symlinked = expected.kind === 'symlink';
            assert.equal(node.type, expected.kind);
            assert.equal(node.mode, symlinked ? 0o777 : expected.mode);
            assert.deepEqual([node.uid, node.gid], [expected.uid, expected.gid]);
            assert.deepEqual(
              [node.mtime, node.mtimeNsec],
              [expected.mtime.seconds, expected.mtime.nanoseconds],
            );
            assert.deepEqual(new Map(image.xattrs(node)), toPlain(expected.xattrs));
            if (expected.kind === 'directory') continue;
            assert.equal(node.nlink, all.size);
            for (const other of all) assert.equal(image.lookup(`/${other}`)?.nid, node.nid);
            if (expected.kind !== 'file') continue;
            const bytes = expected.body?.read(0, expected.body.size) ?? new Uint8Array();
            assert.ok(Buffer.from(image.read(node)).equals(bytes), where);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

function toPlain(xattrs: TarWriteEntry['xattrs']): Map<string, Uint8Array> {
  return new Map(Array.from(xattrs ?? [], ([name, value]) => [name, Uint8Array.from(value)]));
}

/** A bit of everything; its bytes are part of the golden values below. */
function golden(): Buffer {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 9)) & 0xff));
  return tarOf(
    dir('.'),
    dir('etc', { mode: 0o750, uid: 1000, gid: 70_000 }),
    file('etc/passwd', 'root:x:0:0::/:/bin/sh\n'),
    file('bin/big', bytes, { mode: 0o4755 }),
    link('bin/other', 'bin/big'),
    symlink('sh', 'bin/big'),
    dir('null', { kind: 'character-device', major: 1, minor: 3, mode: 0o666 }),
    file('etc/.wh.shadow'),
    file('var/.wh..wh..opq'),
    file('caps', bytes.subarray(0, 5000), {
      xattrs: new Map([['security.capability', Buffer.alloc(20, 2)]]),
      mtime: { seconds: -1, nanoseconds: 5 },
    }),
    file('etc/passwd', 'again\n'),
  );
}

describe('layers: the same archive, the same image', () => {
  it('version 1 never changes', async () => {
    const { converted } = await convert(golden());
    assert.equal(converted.diffId, 'sha256:d5fc07a174c6edf783ddd9870890b4d91ce70c3e171b237eda6f6256880431e6');
    assert.equal(converted.rootHash, '45068e703d1a9d98241bb149ffe0da6b5e8b4a7ed211c65c8f94fc8f30953487');
    assert.equal(converted.size, 319_488);
    const empty = await convert(new Uint8Array(1024));
    assert.equal(
      empty.converted.rootHash,
      '4cf71ca564aae2422099932742f8e4605e8155b5d594b957e47ddfe4151ed651',
    );
  });

  it('whatever the pieces, the compression and the threads', async () => {
    const layer = golden();
    const { bytes } = await convert(layer);
    for (const piece of pieces.slice(1)) {
      assert.ok((await convert(layer, { piece })).bytes.equals(bytes), `pieces of ${piece}`);
    }
    for (const [compression, blob] of [
      ['gzip', gzipSync(layer)],
      ['gzip', Buffer.concat([gzipSync(layer.subarray(0, 5000)), gzipSync(layer.subarray(5000))])],
      ['zstd', zstdCompressSync(layer)],
      ['zstd', Buffer.concat([zstdCompressSync(layer.subarray(0, 9)), zstdCompressSync(layer.subarray(9))])],
    ] as const) {
      const made = await convert(blob, { piece: 999 });
      assert.equal(made.converted.compression, compression);
      assert.ok(made.bytes.equals(bytes), compression);
    }
    const threaded = await convert(layer, { threads: 3, sourceSize: 2 ** 30 });
    assert.ok(threaded.bytes.equals(bytes), 'threads');
  });

  it('from a file as from a stream', async () => {
    const layer = golden();
    const { bytes } = await convert(layer);
    using folder = scratch('layer');
    for (const blob of [layer, gzipSync(layer), zstdCompressSync(layer)]) {
      writeFileSync(folder.file('layer'), blob);
      const told: (readonly [number, number | undefined])[] = [];
      const output = folder.file('layer.erofs');
      await convertLayer(
        { file: folder.file('layer') },
        { output, onProgress: (...args) => told.push(args) },
      );
      assert.ok(readFileSync(output).equals(bytes));
      assert.ok(
        told.length > 0 && told.every(([done, total]) => done <= blob.length && total === blob.length),
      );
    }
  });

  it('does not depend on where the owner is called what', async () => {
    const { bytes } = await convert(tarOf(file('a', 'x')));
    const named = await convert(tarOf(file('a', 'x', { uname: 'me', gname: 'us' })));
    // Another archive has another diff ID, which the first block and the tree's superblock say; nothing else differs.
    assert.ok(named.bytes.subarray(4096, 8192).equals(bytes.subarray(4096, 8192)));
    assert.equal(at(named.image, '/a'), 'file 644 0:0 "x"');
  });
});
