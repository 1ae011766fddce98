/** One test for each rule of docs/layer-format.md, "From entries to files". */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { parseLayerHeader } from '@osguard/formats/layer';
import { LayerError } from '@osguard/layers';
import { convert, describe as at, dir, file, link, paths, symlink, tarOf } from './support/layer.ts';

const refused =
  (pattern: RegExp, code = 'layer-format') =>
  (error: unknown): boolean => {
    assert.ok(error instanceof LayerError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };

describe('layers: names', () => {
  it('makes directories on the way: 0755, root, 1970', async () => {
    const { image } = await convert(tarOf(file('a/b/c', 'x')));
    assert.equal(at(image, '/a/b'), 'directory 755 0:0');
    assert.equal(image.lookup('/a/b')?.mtime, 0);
    assert.equal(at(image, '/a/b/c'), 'file 644 0:0 "x"');
  });

  it('takes ./, doubled slashes and / for the root', async () => {
    const { image } = await convert(tarOf(dir('.', { mode: 0o711, uid: 5 }), file('.//a///b', 'x')));
    assert.equal(at(image, '/'), 'directory 711 5:0');
    assert.equal(at(image, '/a/b'), 'file 644 0:0 "x"');
    const named = tarOf(dir('x', { mode: 0o700 }));
    named.write('/\0\0', 0);
    named.fill(0x20, 148, 156);
    const sum = named.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    named.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    assert.equal(at((await convert(named)).image, '/'), 'directory 700 0:0');
  });

  for (const name of ['/etc/passwd', '../x', 'a/../../x', 'a/..', 'n'.repeat(256), `${'d/'.repeat(2048)}x`]) {
    it(`refuses ${JSON.stringify(name.slice(0, 20))}`, async () => {
      await assert.rejects(convert(tarOf(file(name))), refused(/absolute|climbs|longer/));
    });
  }

  it('keeps names that are not UTF-8 and long ones', async () => {
    const long = `${'ä'.repeat(127)}x`;
    const { image } = await convert(tarOf(file('a\udcff', 'x'), file(`deep/${long}`, 'y')));
    assert.equal(at(image, '/a\udcff'), 'file 644 0:0 "x"');
    assert.equal(at(image, `/deep/${long}`), 'file 644 0:0 "y"');
  });
});

describe('layers: the last entry of a name wins', () => {
  it('a file over a file, a directory with what is in it, a link', async () => {
    const { image } = await convert(
      tarOf(file('f', 'old'), file('d/x'), symlink('l', 'f'), file('f', 'new'), file('d', 'flat'), dir('l')),
    );
    assert.deepEqual(paths(image), ['/d', '/f', '/l']);
    assert.equal(at(image, '/f'), 'file 644 0:0 "new"');
    assert.equal(at(image, '/d'), 'file 644 0:0 "flat"');
    assert.equal(at(image, '/l'), 'directory 755 0:0');
  });

  it('a directory described again keeps what is in it', async () => {
    const { image } = await convert(tarOf(dir('d'), file('d/x', 'x'), dir('d', { mode: 0o700, uid: 7 })));
    assert.equal(at(image, '/d'), 'directory 700 7:0');
    assert.equal(at(image, '/d/x'), 'file 644 0:0 "x"');
  });

  it('other names of a file that was replaced stay', async () => {
    const { image } = await convert(tarOf(file('a', 'one'), link('b', 'a'), file('a', 'two')));
    assert.equal(at(image, '/a'), 'file 644 0:0 "two"');
    assert.equal(at(image, '/b'), 'file 644 0:0 "one"');
    assert.equal(image.lookup('/b')?.nlink, 1);
  });

  it('a file is no directory to put others in', async () => {
    await assert.rejects(convert(tarOf(file('a'), file('a/b'))), refused(/"a" is a file, not a directory/));
  });

  it('the root is a directory', async () => {
    await assert.rejects(convert(tarOf(file('./.'))), refused(/the root is a file/));
  });
});

describe('layers: links', () => {
  it('hard links across the archive are one inode', async () => {
    const { image } = await convert(tarOf(file('a', 'body'), dir('d'), link('d/b', 'a'), link('c', './d/b')));
    const inode = image.lookup('/a');
    assert.equal(inode?.nlink, 3);
    assert.equal(image.lookup('/d/b')?.nid, inode?.nid);
    assert.equal(image.lookup('/c')?.nid, inode?.nid);
  });

  it('to symlinks, too', async () => {
    const { image } = await convert(tarOf(symlink('a', 'x'), link('b', 'a')));
    assert.equal(at(image, '/b'), 'symlink 777 0:0 -> x');
  });

  const bad: readonly (readonly [string, Buffer])[] = [
    ['nothing', tarOf(link('a', 'b'))],
    ['a later entry', tarOf(link('a', 'b'), file('b'))],
    ['each other', tarOf(link('a', 'b'), link('b', 'a'))],
    ['itself', tarOf(file('a'), link('a', 'a'))],
    ['a directory', tarOf(dir('d'), link('a', 'd'))],
    ['the root', tarOf(link('a', '.'))],
    ['a path outside', tarOf(link('a', '../../etc/shadow'))],
    ['an absolute path', tarOf(link('a', '/etc/shadow'))],
    ['below a file', tarOf(file('f'), link('a', 'f/x'))],
    ['through a symlink to nothing', tarOf(symlink('s', '/etc'), link('a', 's/shadow'))],
  ];
  for (const [what, layer] of bad) {
    it(`refuses a hard link to ${what}`, async () => {
      await assert.rejects(convert(layer), refused(/hard link|climbs|absolute|not a directory/));
    });
  }

  it('follows symlinks of the layer on the way to a file, and never out of it', async () => {
    const { image } = await convert(
      tarOf(
        dir('usr/lib'),
        symlink('lib', 'usr/lib'),
        file('lib/a', 'a'),
        symlink('out', '../../../..'),
        file('out/b', 'b'),
        symlink('abs', '/etc/x'),
        file('abs/c', 'c'),
        symlink('usr/up', '../lib/../share'),
        file('usr/up/d', 'd'),
      ),
    );
    assert.equal(at(image, '/usr/lib/a'), 'file 644 0:0 "a"');
    assert.equal(at(image, '/b'), 'file 644 0:0 "b"');
    assert.equal(at(image, '/etc/x/c'), 'file 644 0:0 "c"');
    // /lib is /usr/lib, whose parent is /usr.
    assert.equal(at(image, '/usr/share/d'), 'file 644 0:0 "d"');
    assert.equal(at(image, '/lib'), 'symlink 777 0:0 -> usr/lib');
  });

  it('refuses symlinks in a circle', async () => {
    const circle = tarOf(symlink('a', 'b'), symlink('b', 'a'), file('a/x'));
    await assert.rejects(convert(circle), refused(/too many symlinks/));
  });

  it('gives every symlink mode 0777 and keeps its target as it is', async () => {
    const target = '../'.repeat(1300);
    const { image } = await convert(tarOf(symlink('a', target, { mode: 0 })));
    assert.equal(at(image, '/a'), `symlink 777 0:0 -> ${target}`);
  });
});

describe('layers: whiteouts', () => {
  it('hide a file, whatever the entry is like', async () => {
    const { image } = await convert(
      tarOf(
        file('d/.wh.gone', 'body', { mode: 0o4755, uid: 3, xattrs: new Map([['user.a', Buffer.from('b')]]) }),
      ),
    );
    assert.deepEqual(paths(image), ['/d', '/d/gone']);
    assert.equal(at(image, '/d/gone'), 'char 0 0:0 0,0');
    assert.equal(image.lookup('/d/gone')?.mtime, 0);
  });

  it('make a directory opaque, before or after it is described', async () => {
    for (const entries of [
      [dir('d', { mode: 0o700 }), file('d/.wh..wh..opq'), file('d/x')],
      [file('d/x'), file('d/.wh..wh..opq'), dir('d', { mode: 0o700 })],
    ]) {
      const { image } = await convert(tarOf(...entries));
      assert.equal(at(image, '/d'), 'directory 700 0:0 trusted.overlay.opaque=y');
      assert.deepEqual(paths(image), ['/d', '/d/x']);
    }
  });

  it('of the root', async () => {
    const { image } = await convert(tarOf(file('.wh..wh..opq')));
    assert.equal(at(image, '/'), 'directory 755 0:0 trusted.overlay.opaque=y');
  });

  it('do not hide what the layer itself has', async () => {
    for (const entries of [
      [file('.wh.f'), file('f', 'mine'), file('.wh.d'), file('d/x', 'mine')],
      [file('f', 'mine'), file('.wh.f'), file('d/x', 'mine'), file('.wh.d')],
    ]) {
      const { image } = await convert(tarOf(...entries));
      assert.equal(at(image, '/f'), 'file 644 0:0 "mine"');
      assert.equal(at(image, '/d'), 'directory 755 0:0 trusted.overlay.opaque=y');
      assert.equal(at(image, '/d/x'), 'file 644 0:0 "mine"');
    }
  });

  it('of a name that became a file elsewhere are moot', async () => {
    const { image } = await convert(tarOf(file('d/.wh.x'), file('d/.wh..wh..opq'), file('d', 'flat')));
    assert.deepEqual(paths(image), ['/d']);
    assert.equal(at(image, '/d'), 'file 644 0:0 "flat"');
  });

  it('leave out what AUFS notes for itself', async () => {
    const { image } = await convert(
      tarOf(file('.wh..wh.aufs'), dir('.wh..wh.plnk'), file('.wh..wh.plnk/1.2', 'x'), file('a')),
    );
    assert.deepEqual(paths(image), ['/a']);
  });

  for (const name of ['.wh.', '.wh..', '.wh...', 'd/.wh...', '.wh.d/x']) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(convert(tarOf(file(name))), refused(/hides no file|inside a whiteout/));
    });
  }
});

describe('layers: what files have', () => {
  it('devices, fifos, large ids, permission bits', async () => {
    const { image } = await convert(
      tarOf(
        dir('n', { kind: 'character-device', major: 1, minor: 3, mode: 0o666 }),
        dir('b', { kind: 'block-device', major: 259, minor: 70_000, mode: 0o600 }),
        dir('p', { kind: 'fifo', mode: 0o620 }),
        file('s', '', { mode: 0o6755, uid: 4_000_000_000, gid: 65_536 }),
        dir('t', { mode: 0o1777 }),
      ),
    );
    assert.equal(at(image, '/n'), 'char 666 0:0 1,3');
    assert.equal(at(image, '/b'), 'block 600 0:0 259,70000');
    assert.equal(at(image, '/p'), 'fifo 620 0:0');
    assert.equal(at(image, '/s'), 'file 6755 4000000000:65536 ""');
    assert.equal(at(image, '/t'), 'directory 1777 0:0');
  });

  it('refuses the owner that means nobody, and devices Linux has no numbers for', async () => {
    await assert.rejects(convert(tarOf(file('a', '', { uid: 0xffff_ffff }))), refused(/belongs to/));
    const device = dir('a', { kind: 'block-device', major: 4096, minor: 0 });
    await assert.rejects(convert(tarOf(device)), refused(/device 4096:0.*at byte 0/));
  });

  it('times to the nanosecond, also before 1970', async () => {
    const { image } = await convert(
      tarOf(
        file('a', '', { mtime: { seconds: 1, nanoseconds: 999_999_999 } }),
        file('b', '', { mtime: { seconds: -2, nanoseconds: 500_000_000 } }),
        file('c', '', { mtime: { seconds: 5_000_000_000, nanoseconds: 0 } }),
      ),
    );
    const times = ['/a', '/b', '/c'].map((path) => {
      const { mtime, mtimeNsec } = image.lookup(path) ?? {};
      return [mtime, mtimeNsec];
    });
    assert.deepEqual(times, [
      [1, 999_999_999],
      [-2, 500_000_000],
      [5_000_000_000, 0],
    ]);
  });

  it('keeps attributes that mean the same everywhere, and counts the others', async () => {
    const value = Buffer.from('v');
    const names = [
      'user.a',
      'user.overlay.opaque',
      'security.capability',
      'security.selinux',
      'security.ima',
      'trusted.overlay.redirect',
      'system.posix_acl_access',
      'lustre.lov',
    ];
    const xattrs = new Map(names.map((name) => [name, value]));
    const { image, converted } = await convert(tarOf(file('a', '', { xattrs }), file('b', '', { xattrs })));
    const node = image.lookup('/a');
    assert.ok(node);
    assert.deepEqual([...image.xattrs(node).keys()].sort(), [
      'security.capability',
      'system.posix_acl_access',
      'user.a',
    ]);
    assert.deepEqual(
      converted.dropped.map(({ name, count }) => `${name} ${count}`),
      [
        'lustre.lov 2',
        'security.ima 2',
        'security.selinux 2',
        'trusted.overlay.redirect 2',
        'user.overlay.opaque 2',
      ],
    );
  });

  it('refuses attributes no image can hold', async () => {
    const xattrs = new Map([['user.a', new Uint8Array(65_536)]]);
    await assert.rejects(convert(tarOf(file('a', '', { xattrs }))), refused(/65536 bytes, at most 65535/));
  });
});

describe('layers: the stream', () => {
  it('an empty archive, and one without an end mark or with something behind it', async () => {
    const layer = tarOf(file('a', 'x'));
    const empties = [new Uint8Array(), new Uint8Array(1024), new Uint8Array(10_240)];
    for (const empty of empties) assert.deepEqual(paths((await convert(empty)).image), []);
    for (const odd of [layer.subarray(0, 1024), Buffer.concat([layer, Buffer.from('garbage')])]) {
      assert.deepEqual(paths((await convert(odd)).image), ['/a']);
    }
    await assert.rejects(convert(layer.subarray(0, 1000)), refused(/ends in the middle/));
  });

  it('says in block 0 what it is an image of', async () => {
    const layer = tarOf(file('a', 'x'));
    const { bytes, converted, image } = await convert(layer);
    const diffId = `sha256:${createHash('sha256').update(layer).digest('hex')}` as const;
    assert.deepEqual(parseLayerHeader(bytes), { version: 1, tarSize: layer.length, diffId });
    assert.equal(converted.diffId, diffId);
    const uuid = Buffer.from(image.superblock.uuid).toString('hex');
    assert.equal(uuid.slice(0, 12), diffId.slice(7, 19));
    assert.equal(uuid[12], '8');
  });

  it('refuses another archive than the one that was asked for', async () => {
    await assert.rejects(
      convert(tarOf(), { diffId: `sha256:${'0'.repeat(64)}` }),
      refused(/diff ID is sha256:.*expected sha256:000/, 'digest'),
    );
  });

  it('refuses sparse files, which readers differ about', async () => {
    const sparse = tarOf(file('a'));
    sparse.write('S', 156);
    sparse.fill(0x20, 148, 156);
    const sum = sparse.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    sparse.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    await assert.rejects(convert(sparse), refused(/sparse/));
  });
});
