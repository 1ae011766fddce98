import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { mkdirSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { FormatError, sourceOf } from '@osguard/formats/bytes';
import { readErofs } from '@osguard/formats/erofs';
import type { Judge, Scratch } from '@osguard/testkit';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { listingOfFolder, putOnDisk } from './support/erofs-folder.ts';
import type { Model } from './support/erofs-tree.ts';
import { listingOf, listingOfImage, metadata, pattern, richModel, writeModel } from './support/erofs-tree.ts';

const isRoot = process.getuid?.() === 0;
const notRoot = 'owners, devices and mounts need root';

function passes(tool: Judge, args: readonly string[]): string {
  const { status, stdout, stderr } = tool.run(args);
  assert.equal(status, 0, `${tool.name} ${args.join(' ')}: ${stdout}${stderr}`);
  // fsck.erofs 1.5 reports some findings without failing.
  assert.doesNotMatch(stdout + stderr, /<E>|corrupt|invalid/i);
  return stdout;
}

/**
 * What ext4 can hold too: all xattrs of an inode have to fit one block there. And what mkfs.erofs 1.5 can read: it
 * loses names of 255 bytes.
 */
function diskModel(): Model {
  const nodes = [...richModel()].filter(([path]) => !path.includes('zzz'));
  const trimmed = nodes.map(([path, node]) => {
    const xattrs = new Map([...(node.xattrs ?? [])].slice(0, 40));
    return [path, { ...node, xattrs }] as const;
  });
  return new Map(trimmed);
}

/** Without owners, times and xattrs, which extraction loses. */
function bodies(listing: Record<string, string>): Record<string, string | undefined> {
  const lines = Object.entries(listing);
  return Object.fromEntries(
    lines.map(([path, line]) => [path, /body=\S+|target=\S+|^directory/.exec(line)?.[0]]),
  );
}

function written(dir: Scratch, model: Model, blockSize = 4096): string {
  const path = dir.file(`image-${blockSize}`);
  writeFileSync(path, writeModel(model, { blockSize, volumeName: 'judged' }));
  return path;
}

describe('EROFS images, judged by erofs-utils', () => {
  const fsck = judge('fsck.erofs');
  const dump = judge('dump.erofs');

  it('fsck.erofs finds nothing', { skip: fsck ? false : noJudge('fsck.erofs') }, () => {
    using dir = scratch('erofs');
    if (fsck === undefined) return;
    passes(fsck, [written(dir, richModel())]);
    passes(fsck, [written(dir, new Map())]);
  });

  it(
    'fsck.erofs extracts what was put in',
    { skip: fsck ? (isRoot ? false : notRoot) : noJudge('fsck.erofs') },
    () => {
      using dir = scratch('erofs');
      if (fsck === undefined) return;
      const plain = new Map([...richModel()].filter(([path]) => !path.startsWith('/dev/')));
      passes(fsck, ['--preserve', `--extract=${dir.file('out')}`, written(dir, plain)]);
      assert.deepEqual(bodies(listingOfFolder(dir.file('out'))), bodies(listingOf(plain)));
    },
  );

  it('a flipped bit of the superblock is noticed', { skip: fsck ? false : noJudge('fsck.erofs') }, () => {
    using dir = scratch('erofs');
    const path = written(dir, new Map());
    const image = readFileSync(path);
    image[1024 + 48] = (image[1024 + 48] ?? 0) ^ 1;
    writeFileSync(path, image);
    const { stdout = '', stderr = '' } = fsck?.run([path]) ?? {};
    assert.match(stdout + stderr, /checksum/);
    assert.throws(
      () => readErofs(sourceOf(image)),
      (error) => error instanceof FormatError && error.code === 'checksum',
    );
  });

  it('dump.erofs tells the same story', { skip: dump ? false : noJudge('dump.erofs') }, () => {
    using dir = scratch('erofs');
    if (dump === undefined) return;
    const path = written(dir, richModel());
    const image = readErofs(sourceOf(readFileSync(path)));
    const superblock = passes(dump, ['-s', path]);
    assert.match(superblock, /magic number:\s+0xE0F5E1E2/);
    assert.match(superblock, new RegExp(`inode count:\\s+${image.superblock.inodes}\\b`));
    assert.match(superblock, /sb_csum/);
    assert.match(superblock, /00070e15-1c23-2a31-383f-464d545b6269|1f262d34-3b42-4950-575e-656c737a8188/);
    for (const name of ['/ids', '/sizes/4033', '/old', '/dev/null', '/many', '/xattrs/many']) {
      const node = image.lookup(name);
      const told = passes(dump, [`--path=${name}`, path]);
      assert.match(told, new RegExp(`NID: ${node?.nid}\\s+Links: ${node?.nlink}\\s+Layout: ${node?.layout}`));
      assert.match(told, new RegExp(`Uid: ${node?.uid}\\s+Gid: ${node?.gid}`));
      assert.match(told, new RegExp(`Inode size: ${node?.extended === true ? 64 : 32}`));
    }
  });
});

/** Mounts, looks, unmounts; undefined when this machine mounts no loop devices. */
function mounted<T>(dir: Scratch, image: string, look: (folder: string) => T): T | undefined {
  const mount = judge('mount');
  const unmount = judge('umount');
  const folder = dir.file('mounted');
  mkdirSync(folder, { recursive: true });
  if (mount === undefined || unmount === undefined) return undefined;
  const { status, stderr } = mount.run(['-o', 'loop,ro', '-t', 'erofs', image, folder]);
  if (status !== 0) {
    // Only what says that nothing can be mounted here excuses it: a refused image is a failure.
    if (/unknown filesystem|failed to setup loop|permission denied|operation not permitted/i.test(stderr))
      return undefined;
    throw new Error(`mount: ${stderr}`);
  }
  try {
    return look(folder);
  } finally {
    // A failed look may have left a file open; nothing may stay mounted for that.
    if (unmount.run([folder]).status !== 0) unmount.run(['--lazy', folder]);
  }
}

describe('EROFS images, judged by the kernel', () => {
  for (const blockSize of [4096, 1024, 512]) {
    it(
      `mounts blocks of ${blockSize} and finds every file as it should be`,
      { skip: isRoot ? false : notRoot },
      (t) => {
        using dir = scratch('erofs');
        const model = richModel();
        const image = written(dir, model, blockSize);
        const found = mounted(dir, image, (folder) => listingOfFolder(folder));
        if (found === undefined) {
          t.skip('this machine cannot mount EROFS through a loop device');
          return;
        }
        assert.deepEqual(found, listingOf(model));
      },
    );
  }

  it(
    'finds one name in a directory of 20,000, and not its neighbours',
    { skip: isRoot ? false : notRoot },
    (t) => {
      using dir = scratch('erofs');
      const names = Array.from({ length: 20_000 }, (_, index) => `/d/${(index * 2).toString(36)}`);
      const model: Model = new Map(names.map((name) => [name, { ...metadata, type: 'file' as const }]));
      const result = mounted(dir, written(dir, model), (folder) => {
        for (const name of names) closeSync(openSync(`${folder}${name}`, 'r'));
        for (let index = 1; index < 2000; index += 2) {
          assert.throws(() => openSync(`${folder}/d/${index.toString(36)}x`, 'r'), { code: 'ENOENT' });
        }
        return true;
      });
      if (result === undefined) t.skip('this machine cannot mount EROFS through a loop device');
    },
  );

  it('reads the middle of files as we do', { skip: isRoot ? false : notRoot }, (t) => {
    using dir = scratch('erofs');
    const body = pattern(1_000_003);
    const model: Model = new Map([['/f', { ...metadata, type: 'file' as const, body }]]);
    const result = mounted(dir, written(dir, model), (folder) => {
      const fd = openSync(`${folder}/f`, 'r');
      for (const at of [0, 4095, 999_424, 999_999]) {
        const piece = new Uint8Array(100);
        const length = readSync(fd, piece, 0, 100, at);
        assert.deepEqual(piece.subarray(0, length), body.subarray(at, at + 100));
      }
      closeSync(fd);
      return true;
    });
    if (result === undefined) t.skip('this machine cannot mount EROFS through a loop device');
  });
});

describe('EROFS images of mkfs.erofs, read by us', () => {
  const mkfs = judge('mkfs.erofs');
  const skip = mkfs ? (isRoot ? false : notRoot) : noJudge('mkfs.erofs');
  let tree: Scratch | undefined;
  before(() => {
    if (skip !== false) return;
    tree = scratch('erofs-tree');
    putOnDisk(tree.file('tree'), diskModel());
  });
  after(() => tree?.[Symbol.dispose]());
  const optionSets: readonly (readonly string[])[] = [
    [],
    ['-Elegacy-compress'],
    ['-Eforce-inode-extended'],
    ['-Enoinline_data'],
    ['-Enosbcrc'],
    ['--chunksize=4096'],
    ['--chunksize=65536', '-Eforce-chunk-indexes'],
    ['--chunksize=4096', '-Eforce-inode-blockmap'],
    ['-x1'],
    ['-x-1'],
    ['-b512'],
    ['-b1024', '--chunksize=1024'],
    ['--xattr-prefix=user.number-', '--xattr-prefix=trusted.overlay.'],
    ['--xattr-prefix=user.number-', '-Efragments', '-zlz4'],
    ['--sort=none'],
  ];
  for (const options of optionSets) {
    it(`mkfs.erofs ${options.join(' ')}`, { skip }, (t: TestContext) => {
      using dir = scratch('erofs');
      if (mkfs === undefined || tree === undefined) return;
      const model = diskModel();
      const path = dir.file('image');
      const made = mkfs.run(['--quiet', ...options, path, tree.file('tree')]);
      const said = made.stdout + made.stderr;
      if (made.status !== 0 && /usage:|invalid|unrecognized|not supported/i.test(said)) {
        t.skip('this mkfs.erofs does not know the option');
        return;
      }
      assert.equal(made.status, 0, said);
      const source = sourceOf(readFileSync(path));
      if (options.includes('-zlz4')) {
        // Name prefixes inside a compressed inode: not readable, and said so before anything is misread.
        try {
          assert.equal([...readErofs(source).walk()].length, listingLength(model));
        } catch (error) {
          assert.ok(error instanceof FormatError && error.code === 'unsupported');
        }
        return;
      }
      const read = listingOfImage(source);
      const strip = (line: string): string => {
        return options.includes('-x-1') ? line.replace(/ (user|trusted|security|system)\..*/, '') : line;
      };
      const lines = (listing: Record<string, string>): Record<string, string> =>
        Object.fromEntries(Object.entries(listing).map(([name, line]) => [name, strip(line)]));
      assert.deepEqual(lines(read), lines(listingOf(model)));
    });
  }

  it('mkfs.erofs -Eforce-inode-compact', { skip }, () => {
    using dir = scratch('erofs');
    if (mkfs === undefined || tree === undefined) return;
    const { status, stderr } = mkfs.run([
      '--quiet',
      '-Eforce-inode-compact',
      '-T5',
      dir.file('image'),
      tree.file('tree/many'),
    ]);
    assert.equal(status, 0, stderr);
    const image = readErofs(sourceOf(readFileSync(dir.file('image'))));
    const nodes = [...image.walk()].map(({ node }) => node);
    assert.equal(nodes.length, 401);
    assert.ok(nodes.every(({ extended, mtime }) => !extended && mtime === 5));
  });

  it('compressed files can be listed, and say so when read', { skip }, () => {
    using dir = scratch('erofs');
    if (mkfs === undefined) return;
    putOnDisk(
      dir.file('tree'),
      new Map([
        ['/', { ...metadata, type: 'directory' as const, mode: 0o755 }],
        ['/zeros', { ...metadata, type: 'file' as const, body: new Uint8Array(100_000) }],
      ]),
    );
    passes(mkfs, ['-zlz4', dir.file('image'), dir.file('tree')]);
    const image = readErofs(sourceOf(readFileSync(dir.file('image'))));
    const node = image.lookup('/zeros');
    assert.equal(node?.size, 100_000);
    assert.throws(
      () => node && image.read(node),
      (error) => error instanceof FormatError && error.code === 'unsupported',
    );
  });
});

function listingLength(model: Model): number {
  return Object.keys(listingOf(model)).length;
}
