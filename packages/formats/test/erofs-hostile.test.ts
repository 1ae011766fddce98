import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FormatError, sourceOf } from '@osguard/formats/bytes';
import type { FormatErrorCode } from '@osguard/formats/bytes';
import type { ErofsImage, ErofsNode } from '@osguard/formats/erofs';
import { readErofs } from '@osguard/formats/erofs';
import type { Model, ModelNode } from './support/erofs-tree.ts';
import { metadata, pattern, text, writeModel } from './support/erofs-tree.ts';

const folder: ModelNode = { ...metadata, type: 'directory', mode: 0o755 };
const label = new Map([['security.selinux', text('system_u:object_r:usr_t:s0\0')]]);
const nodes: readonly (readonly [string, ModelNode])[] = [
  ['/', folder],
  ['/a', { ...folder, xattrs: label }],
  ['/a/b', folder],
  ['/a/b/c', folder],
  ['/f', { ...metadata, type: 'file', body: pattern(10_000), xattrs: label }],
  ['/e', folder],
  // These two fill a block each, so that the inodes take more than one.
  ['/large', { ...metadata, type: 'file', body: pattern(3900) }],
  ['/larger', { ...metadata, type: 'file', body: pattern(3950) }],
  ['/own', { ...metadata, type: 'file', xattrs: new Map([['user.own', text('x')]]) }],
  [
    '/two',
    {
      ...metadata,
      type: 'file',
      xattrs: new Map([
        ['user.one', text('1')],
        ['user.two', text('2')],
      ]),
    },
  ],
  ['/s', { ...metadata, type: 'symlink', target: 'f' }],
];
const model: Model = new Map(nodes);

interface Hostile {
  readonly bytes: Buffer;
  readonly image: ErofsImage;
  readonly node: (path: string) => ErofsNode;
  /** Offset of a directory entry. */
  readonly entry: (folder: string, name: string) => number;
}

function hostile(): Hostile {
  const bytes = writeModel(model);
  // Otherwise the checksum would catch every change in block 0.
  bytes[1032] = (bytes[1032] ?? 0) & ~1;
  const image = readErofs(sourceOf(Buffer.from(bytes)));
  const node = (path: string): ErofsNode => image.lookup(path) ?? assert.fail(path);
  return {
    bytes,
    image,
    node,
    entry: (path, name) =>
      image.directory(node(path)).find((found) => found.name === name)?.offset ?? assert.fail(name),
  };
}

/** All of an image: every entry, xattr and byte. */
function readAll(bytes: Uint8Array): void {
  const image = readErofs(sourceOf(bytes));
  for (const { node } of image.walk()) {
    image.xattrs(node);
    if (node.type === 'symlink') image.symlinkTarget(node);
    if (node.type === 'file') for (const piece of image.chunks(node)) assert.ok(piece.length > 0);
  }
}

/** Where the inline content of an inode without xattrs starts. */
const inlineStart = (node: ErofsNode): number => node.offset + (node.extended ? 64 : 32);

type Attack = readonly [string, FormatErrorCode, RegExp, (to: Hostile) => Buffer | undefined | number];

const attacks: readonly Attack[] = [
  ['too few bytes', 'truncated', /too few/, ({ bytes }) => bytes.subarray(0, 1100)],
  ['another magic', 'not-this-format', /superblock/, ({ bytes }) => bytes.writeUInt32LE(1, 1024)],
  ['the end cut off', 'truncated', /claims/, ({ bytes }) => bytes.subarray(0, bytes.length - 1)],
  ['blocks of 256 bytes', 'malformed', /block size/, ({ bytes }) => bytes.writeUInt8(8, 1036)],
  ['blocks of 128 KiB', 'malformed', /block size/, ({ bytes }) => bytes.writeUInt8(17, 1036)],
  ['feature 48bit', 'unsupported', /48bit/, ({ bytes }) => bytes.writeUInt32LE(0x80, 1104)],
  [
    'feature metabox and one nobody knows',
    'unsupported',
    /metabox, bit 31/,
    ({ bytes }) => bytes.writeUInt32LE(0x8000_0100, 1104),
  ],
  [
    'an extra device',
    'unsupported',
    /device_table/,
    ({ bytes }) => {
      bytes.writeUInt32LE(0x08, 1104);
      bytes.writeUInt16LE(1, 1110);
    },
  ],
  ['large directory blocks', 'unsupported', /directory blocks/, ({ bytes }) => bytes.writeUInt8(1, 1114)],
  ['metadata behind the end', 'malformed', /metadata/, ({ bytes }) => bytes.writeUInt32LE(0xffff, 1064)],
  [
    'a root that is a file',
    'malformed',
    /root/,
    ({ bytes, node }) => bytes.writeUInt16LE(node('/f').nid, 1038),
  ],
  ['a root behind the end', 'truncated', /outside/, ({ bytes }) => bytes.writeUInt16LE(0xffff, 1038)],
  [
    'a directory inside itself',
    'malformed',
    /twice|parent/,
    ({ bytes, node, entry }) => bytes.writeBigUInt64LE(BigInt(node('/a').nid), entry('/a/b', 'c')),
  ],
  [
    'a directory with two names',
    'malformed',
    /parent/,
    ({ bytes, node, entry }) => bytes.writeBigUInt64LE(BigInt(node('/a/b').nid), entry('/', 'a')),
  ],
  [
    'a directory with two names in one place',
    'malformed',
    /twice/,
    ({ bytes, node, entry }) => bytes.writeBigUInt64LE(BigInt(node('/a').nid), entry('/', 'e')),
  ],
  [
    '"." of somebody else',
    'malformed',
    /own/,
    ({ bytes, node }) => bytes.writeBigUInt64LE(1n, inlineStart(node('/a/b'))),
  ],
  [
    '".." of somebody else',
    'malformed',
    /parent/,
    ({ bytes, node }) => bytes.writeBigUInt64LE(1n, inlineStart(node('/a/b/c')) + 12),
  ],
  [
    'an entry that lies about the type',
    'malformed',
    /type 7/,
    ({ bytes, entry }) => bytes.writeUInt8(7, entry('/', 'f') + 10),
  ],
  [
    'an inode number of 2^60',
    'malformed',
    /larger/,
    ({ bytes, entry }) => bytes.writeBigUInt64LE(2n ** 60n, entry('/', 'f')),
  ],
  [
    'an inode outside',
    'truncated',
    /outside/,
    ({ bytes, entry }) => bytes.writeBigUInt64LE(2n ** 40n, entry('/', 'f')),
  ],
  [
    'a slash in a name',
    'malformed',
    /slash/,
    ({ bytes, node }) => bytes.write('/', inlineStart(node('/a/b')) + 3 * 12 + 3),
  ],
  [
    'names out of order',
    'malformed',
    /order/,
    ({ bytes, node }) => bytes.write('!', inlineStart(node('/a/b')) + 3 * 12 + 3),
  ],
  [
    'names before the entries end',
    'malformed',
    /first name/,
    ({ bytes, node }) => bytes.writeUInt16LE(13, inlineStart(node('/a/b')) + 8),
  ],
  [
    'a directory of 4 GiB',
    'malformed',
    /overlap|bytes at/,
    ({ bytes, node }) => bytes.writeUInt32LE(0xffff_ffff, node('/a').offset + 8),
  ],
  [
    'a file behind the end',
    'malformed',
    /bytes at/,
    ({ bytes, node }) => bytes.writeUInt32LE(0xffff_0000, node('/f').offset + 16),
  ],
  [
    'a tail across a block',
    'malformed',
    /crosses/,
    ({ bytes, node }) => bytes.writeUInt32LE(8192 + 4000, node('/f').offset + 8),
  ],
  [
    'a compressed file',
    'unsupported',
    /compressed/,
    ({ bytes, node }) => bytes.writeUInt16LE(1 << 1, node('/f').offset),
  ],
  ['layout 5', 'malformed', /layout/, ({ bytes, node }) => bytes.writeUInt16LE(5 << 1, node('/f').offset)],
  [
    'an inode format of the future',
    'unsupported',
    /format/,
    ({ bytes, node }) => bytes.writeUInt16LE(0x14, node('/f').offset),
  ],
  [
    'a mode without type',
    'malformed',
    /mode/,
    ({ bytes, node }) => bytes.writeUInt16LE(0o644, node('/f').offset + 4),
  ],
  [
    'an empty symlink',
    'malformed',
    /symlink/,
    ({ bytes, node }) => bytes.writeUInt32LE(0, node('/s').offset + 8),
  ],
  ['NUL in a symlink', 'malformed', /NUL/, ({ bytes, node }) => bytes.writeUInt8(0, inlineStart(node('/s')))],
  [
    'chunks of an unknown kind',
    'unsupported',
    /chunk format/,
    ({ bytes, node }) => {
      bytes.writeUInt16LE(4 << 1, node('/f').offset);
      bytes.writeUInt32LE(0x80, node('/f').offset + 16);
    },
  ],
  [
    'a shared xattr outside',
    'truncated',
    /outside/,
    ({ bytes, node }) => bytes.writeUInt32LE(0x4000_0000, node('/f').offset + 32 + 12),
  ],
  [
    'more shared xattrs than room',
    'truncated',
    /shared/,
    ({ bytes, node }) => bytes.writeUInt8(2, node('/f').offset + 32 + 4),
  ],
  [
    'an xattr of an unknown prefix',
    'malformed',
    /xattr name/,
    ({ bytes, node }) => bytes.writeUInt8(9, node('/own').offset + 32 + 13),
  ],
  [
    'an xattr of a long prefix that is not there',
    'malformed',
    /prefix/,
    ({ bytes, node }) => bytes.writeUInt8(0x80, node('/own').offset + 32 + 13),
  ],
  [
    'an xattr twice',
    'malformed',
    /twice/,
    ({ bytes, node }) => bytes.write('two', bytes.indexOf('one', node('/two').offset)),
  ],
  [
    "an xattr longer than its inode's",
    'truncated',
    /xattr value/,
    ({ bytes, node }) => bytes.writeUInt16LE(500, node('/own').offset + 32 + 14),
  ],
];

describe('EROFS: images that mean harm', () => {
  it('without harm, everything is read', () => readAll(hostile().bytes));

  for (const [name, code, message, change] of attacks) {
    it(`${name}: ${code}`, () => {
      const target = hostile();
      const changed = change(target);
      const bytes = Buffer.isBuffer(changed) ? changed : target.bytes;
      assert.throws(
        () => readAll(bytes),
        (error) => {
          assert.ok(error instanceof FormatError, String(error));
          assert.deepEqual([error.code, message.test(error.message)], [code, true], error.message);
          return code === 'truncated' || error.offset !== undefined;
        },
      );
    });
  }

  it('the checksum guards the rest of block 0', () => {
    const bytes = writeModel(model);
    bytes.writeUInt8(1, 4095);
    assert.throws(() => readErofs(sourceOf(bytes)), { code: 'checksum' });
  });

  it('depth, reading and file sizes are bounded as told', () => {
    const { bytes } = hostile();
    const shallow = readErofs(sourceOf(bytes), { depth: 2 });
    assert.throws(() => [...shallow.walk()], { code: 'too-large' });
    const small = readErofs(sourceOf(bytes), { readSize: 9999, fileSize: 9999 });
    const file = small.lookup('/f') ?? assert.fail();
    assert.throws(() => small.read(file), { code: 'too-large' });
    assert.throws(() => [...small.chunks(file)], { code: 'too-large' });
  });
});
