import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FormatError, sourceOf } from '@osguard/formats/bytes';
import { ErofsWriter, memoryTailStore, readErofs } from '@osguard/formats/erofs';
import {
  buildTime,
  Collector,
  DirectCollector,
  listingOf,
  listingOfImage,
  metadata,
  models,
  pattern,
  richModel,
  text,
  writeModel,
} from './support/erofs-tree.ts';

const fails = (code: string) => (error: unknown) => error instanceof FormatError && error.code === code;

const writer = (): ErofsWriter => new ErofsWriter(new Collector(), { uuid: pattern(16), buildTime });

describe('EROFS: written, then read', () => {
  it('a tree with a bit of everything comes back', () => {
    const model = richModel();
    assert.deepEqual(listingOfImage(sourceOf(writeModel(model))), listingOf(model));
  });

  it('a sink with memory of its own gets the same bytes', () => {
    fc.assert(
      fc.property(models, (model) => writeModel(model, {}, new DirectCollector()).equals(writeModel(model))),
      { numRuns: 60 },
    );
  });

  it('random trees come back, at every block size', () => {
    fc.assert(
      fc.property(models, fc.integer({ min: 9, max: 16 }), (model, bits) => {
        const image = writeModel(model, { blockSize: 2 ** bits, volumeName: 'trees' });
        assert.deepEqual(listingOfImage(sourceOf(image)), listingOf(model));
      }),
      { numRuns: 150 },
    );
  });

  it('the same tree gives the same bytes, however bodies arrive and whatever the buffer', () => {
    const model = richModel();
    const expected = writeModel(model);
    const sink = new Collector();
    const to = new ErofsWriter(sink, { uuid: pattern(16), buildTime, buffer: new Uint8Array(4096) });
    for (const [path, node] of model) {
      if (node.type === 'link') to.addLink(path, node.target ?? '');
      else if (node.type === 'symlink') to.add(path, { ...node, type: 'symlink', target: node.target ?? '' });
      else if (node.type === 'char' || node.type === 'block') {
        to.add(path, { ...node, type: node.type, major: node.major ?? 0, minor: node.minor ?? 0 });
      } else if (node.type !== 'file') to.add(path, { ...node, type: node.type });
      else {
        const body = node.body ?? new Uint8Array(0);
        let at = 0;
        to.addFile(path, { ...node, type: 'file', size: body.length }, (target) => {
          const piece = body.subarray(at, at + Math.min(target.length, 777));
          target.set(piece);
          at += piece.length;
          return piece.length;
        });
      }
    }
    to.finish();
    assert.equal(Buffer.compare(sink.image(), expected), 0);
  });

  it('reports what is in the superblock', () => {
    const image = readErofs(
      sourceOf(writeModel(new Map(), { volumeName: 'sixteen bytes ok', buildTimeNsec: 5, buildTime: -3 })),
    );
    const {
      volumeName,
      uuid,
      buildTime: time,
      buildTimeNsec,
      checksummed,
      inodes,
      blocks,
    } = image.superblock;
    assert.deepEqual(
      { volumeName, time, buildTimeNsec, checksummed, inodes },
      { volumeName: 'sixteen bytes ok', time: -3, buildTimeNsec: 5, checksummed: true, inodes: 1 },
    );
    assert.deepEqual(uuid, pattern(16));
    assert.equal(blocks, 2);
    assert.equal(image.root.nid, 1);
  });

  it('shares a label among inodes and keeps 32-byte inodes where they suffice', () => {
    const xattrs = new Map([['security.selinux', text('system_u:object_r:usr_t:s0\0')]]);
    const empty = (count: number): number => {
      const files = Array.from(
        { length: count },
        (_, i) => [`/${i}`, { ...metadata, type: 'file' as const, xattrs }] as const,
      );
      return writeModel(new Map(files)).length;
    };
    // 32 bytes of inode, 12 + 4 of xattrs, rounded up to slots: 64 bytes, beside 12 + 4 of directory entry.
    assert.ok(empty(10_000) - empty(100) <= 9900 * (64 + 16) + 2 * 4096);
  });

  it('finds by path, reads ranges and follows no symlink', () => {
    const model = richModel();
    const image = readErofs(sourceOf(writeModel(model)));
    const big = image.lookup('/sizes/300001');
    assert.ok(big);
    const body = pattern(300_001, 300_001);
    for (const [position, length] of [
      [0, 1],
      [4095, 2],
      [299_000, 1001],
      [294_911, 4097],
      [300_001, 0],
    ] as const) {
      assert.deepEqual(
        Uint8Array.from(image.read(big, position, length)),
        body.subarray(position, position + length),
      );
    }
    assert.throws(() => image.read(big, 300_000, 2), fails('truncated'));
    assert.equal(image.lookup('/short')?.type, 'symlink');
    assert.equal(image.lookup('/short/x'), undefined);
    assert.equal(image.lookup('/many/absent'), undefined);
    assert.equal(image.lookup('/')?.nid, image.root.nid);
  });

  it('a removed name is gone, a directory described late has the late metadata', () => {
    const sink = new Collector();
    const to = new ErofsWriter(sink, { uuid: pattern(16), buildTime });
    to.addFile('/a/b/c', { ...metadata, type: 'file', size: 0 });
    to.add('/a', { ...metadata, type: 'directory', mode: 0o700 });
    to.add('/d', { ...metadata, type: 'fifo' });
    assert.equal(to.remove('/d'), true);
    assert.equal(to.remove('/d'), false);
    to.finish();
    const listing = listingOfImage(sourceOf(sink.image()));
    assert.deepEqual(Object.keys(listing), ['/', '/a', '/a/b', '/a/b/c']);
    assert.match(listing['/a'] ?? '', /^directory 700 /);
    assert.match(listing['/a/b'] ?? '', /^directory 755 /);
  });
});

describe('EROFS: while it is written', () => {
  const folder = { ...metadata, mode: 0o755, type: 'directory' } as const;

  it('tells what a path leads to', () => {
    const to = writer();
    to.add('/a/b', folder);
    to.add('/a/l', { ...metadata, type: 'symlink', target: 'x\udcff' });
    to.add('/a/long', { ...metadata, type: 'symlink', target: 'x'.repeat(4095) });
    assert.deepEqual(to.probe([]), { depth: 0, type: 'directory' });
    assert.deepEqual(to.probe(['a', 'b']), { depth: 2, type: 'directory' });
    assert.deepEqual(to.probe(['a', 'b', 'c', 'd']), { depth: 2, type: 'directory' });
    assert.deepEqual(to.probe(['a', 'l', 'x']), { depth: 2, type: 'symlink', target: 'x\udcff' });
    assert.equal(to.probe(['a', 'long']).target, 'x'.repeat(4095));
  });

  it('a directory gets an attribute, and another value of it', () => {
    const sink = new Collector();
    const to = new ErofsWriter(sink, { uuid: pattern(16), buildTime });
    to.add('/d', {
      ...folder,
      xattrs: new Map([
        ['user.a', text('1')],
        ['user.ab', text('2')],
      ]),
    });
    to.add('/e', { ...metadata, type: 'fifo' });
    to.setDirectoryXattr('/d', 'user.a', text('3'));
    to.setDirectoryXattr('/d', 'trusted.overlay.opaque', text('y'));
    to.setDirectoryXattr('/', 'user.a', text('3'));
    assert.throws(() => to.setDirectoryXattr('/e', 'user.a', text('3')), fails('not-encodable'));
    assert.throws(() => to.setDirectoryXattr('/f', 'user.a', text('3')), fails('not-encodable'));
    to.finish();
    const image = readErofs(sourceOf(sink.image()));
    const xattrs = (path: string): readonly string[] => {
      const node = image.lookup(path);
      assert.ok(node);
      return Array.from(
        image.xattrs(node),
        ([name, value]) => `${name}=${Buffer.from(value).toString()}`,
      ).sort();
    };
    assert.deepEqual(xattrs('/d'), ['trusted.overlay.opaque=y', 'user.a=3', 'user.ab=2']);
    assert.deepEqual(xattrs('/'), ['user.a=3']);
  });
});

describe('EROFS: what cannot be written', () => {
  const refusals: readonly (readonly [string, (to: ErofsWriter) => void])[] = [
    ['a name of 256 bytes', (to) => to.add(`/${'é'.repeat(128)}`, { ...metadata, type: 'fifo' })],
    ['"."', (to) => to.add('/a/./b', { ...metadata, type: 'fifo' })],
    ['".."', (to) => to.add('/..', { ...metadata, type: 'fifo' })],
    ['an empty component', (to) => to.add('/a//b', { ...metadata, type: 'fifo' })],
    ['NUL', (to) => to.add('/a\0', { ...metadata, type: 'fifo' })],
    ['a lone surrogate', (to) => to.add('/\ud800', { ...metadata, type: 'fifo' })],
    ['the root as a file', (to) => to.add('/', { ...metadata, type: 'fifo' })],
    ['two of one name', (to) => [1, 2].forEach(() => to.add('/a', { ...metadata, type: 'fifo' }))],
    [
      'a child of a file',
      (to) => ['/a', '/a/b'].forEach((path) => to.add(path, { ...metadata, type: 'fifo' })),
    ],
    ['a hard link to nothing', (to) => to.addLink('/a', '/a')],
    ['a hard link to a directory', (to) => to.addLink('/a', '/')],
    ['an empty symlink', (to) => to.add('/a', { ...metadata, type: 'symlink', target: '' })],
    [
      'a symlink of 4096 bytes',
      (to) => to.add('/a', { ...metadata, type: 'symlink', target: 'x'.repeat(4096) }),
    ],
    ['a uid of 33 bits', (to) => to.add('/a', { ...metadata, uid: 2 ** 32, type: 'fifo' })],
    ['half a second', (to) => to.add('/a', { ...metadata, mtime: 0.5, type: 'fifo' })],
    ['a major number of 13 bits', (to) => to.add('/a', { ...metadata, type: 'char', major: 4096, minor: 0 })],
    ['a file of negative size', (to) => to.addFile('/a', { ...metadata, type: 'file', size: -1 })],
    ['a body too long', (to) => to.openFile('/a', { ...metadata, type: 'file', size: 3 }).push(text('four'))],
    [
      'a file inside a file',
      (to) => {
        to.openFile('/a', { ...metadata, type: 'file', size: 3 });
        to.add('/b', { ...metadata, type: 'fifo' });
      },
    ],
    ...['system.nfs4_acl', 'user.', 'user.a\0', 'selinux', `user.${'x'.repeat(251)}`].map(
      (name) =>
        [
          `xattr ${name}`,
          (to: ErofsWriter) =>
            to.add('/a', { ...metadata, type: 'fifo', xattrs: new Map([[name, text('')]]) }),
        ] as const,
    ),
    [
      'an xattr of 64 KiB',
      (to) => to.add('/a', { ...metadata, type: 'fifo', xattrs: new Map([['user.a', pattern(65_536)]]) }),
    ],
  ];
  for (const [what, act] of refusals) {
    it(what, () => assert.throws(() => act(writer()), fails('not-encodable')));
  }

  it('a body that ends early', () => {
    const to = writer();
    assert.throws(() => to.addFile('/a', { ...metadata, type: 'file', size: 5000 }), fails('truncated'));
    assert.throws(() => to.finish(), fails('not-encodable'));
  });

  it('anything after the end', () => {
    const to = writer();
    to.finish();
    assert.throws(() => to.add('/a', { ...metadata, type: 'fifo' }), fails('not-encodable'));
  });
});

describe('EROFS: names and tails', () => {
  it('the tail store gives back what it was given', () => {
    const store = memoryTailStore();
    const tails = Array.from({ length: 1000 }, (_, i) => pattern((i * 37) % 4000, i));
    const handles = tails.map((tail) => store.append(tail));
    for (const [index, tail] of tails.entries()) {
      assert.deepEqual(Uint8Array.from(store.read(handles[index] ?? 0, tail.length)), tail);
    }
  });

  it('a byte order mark stays part of a name', () => {
    const model = new Map([['/\ufeffx', { ...metadata, type: 'fifo' as const }]]);
    assert.deepEqual(Object.keys(listingOfImage(sourceOf(writeModel(model)))), ['/', '/\ufeffx']);
  });
});
