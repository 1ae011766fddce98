import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FormatError, sourceOf, toHex } from '@osguard/formats/bytes';
import type { ErofsImage, ErofsNode } from '@osguard/formats/erofs';
import { ErofsWriter, readErofs } from '@osguard/formats/erofs';
import { noVectors, vectors } from '@osguard/testkit';
import type { DumpEntry } from './support/composefs-dump.ts';
import { parseDump } from './support/composefs-dump.ts';
import { Collector, pattern } from './support/erofs-tree.ts';

interface VectorFile {
  readonly file: string;
}
interface Expected {
  readonly result: 'accept' | 'reject';
  readonly superblock: {
    readonly blkszbits: number;
    readonly root_nid: number;
    readonly inodes: number;
    readonly build_time: number;
    readonly blocks: number;
    readonly meta_blkaddr: number;
    readonly xattr_blkaddr: number;
    readonly feature_compat: string;
    readonly feature_incompat: string;
  };
}

const found = vectors();
const rows = found?.rows('7-erofs') ?? [];
const skip = found ? false : noVectors;

const hex32 = (value: number): string => value.toString(16).padStart(8, '0');

/** composefs keeps its own overlay xattrs apart from those it was told to store. */
function storedName(name: string): string {
  return name.startsWith('trusted.overlay.')
    ? name.replace('trusted.overlay.', 'trusted.overlay.overlay.')
    : name;
}

function assertEntry(image: ErofsImage, entry: DumpEntry): void {
  const node = image.lookup(entry.path);
  assert.ok(node, entry.path);
  const { mode, uid, gid, mtime, mtimeNsec } = node;
  assert.deepEqual(
    { mode, uid, gid, mtime, mtimeNsec },
    {
      mode: entry.mode & 0o7777,
      uid: entry.uid,
      gid: entry.gid,
      mtime: entry.mtime,
      mtimeNsec: entry.mtimeNsec,
    },
    entry.path,
  );
  const xattrs = image.xattrs(node);
  for (const [name, value] of entry.xattrs) {
    assert.equal(
      toHex(xattrs.get(storedName(name)) ?? Uint8Array.of()),
      toHex(value),
      `${entry.path} ${name}`,
    );
  }
  assertContent(image, node, entry);
}

/** For this size, a fuzzer's find, composefs leaves the chunk table empty: it points to block 0. */
const brokenSize = 8_960_932_074_941_261;

function assertContent(image: ErofsImage, node: ErofsNode, entry: DumpEntry): void {
  if (node.type === 'symlink') assert.equal(image.symlinkTarget(node), entry.payload);
  if (node.type === 'char' || node.type === 'block') assert.equal(node.union, entry.rdev);
  if (node.type !== 'file') return;
  assert.equal(node.size, entry.size);
  if (entry.content !== undefined) {
    assert.equal(toHex(image.read(node)), toHex(entry.content));
  } else if (node.size === brokenSize) {
    assert.throws(() => image.read(node, 0, 1), FormatError);
  } else if (node.size > 0) {
    assert.equal(toHex(image.read(node, node.size - 1, 1)), '00', 'a hole at the end');
  }
}

/** Our own image of a dump. @throws FormatError for what a dump must not say */
function writeDump(entries: readonly DumpEntry[]): Uint8Array {
  const sink = new Collector();
  const writer = new ErofsWriter(sink, { uuid: pattern(16), buildTime: 0 });
  for (const entry of entries) {
    const { path, payload = '', content, rdev } = entry;
    const metadata = { ...entry, mode: entry.mode & 0o7777 };
    const format = entry.mode & 0o170000;
    const major = (rdev >>> 8) & 0xfff;
    const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xf_ff00);
    if (entry.hardLink) writer.addLink(path, payload);
    else if (format === 0o040000) writer.add(path, { ...metadata, type: 'directory' });
    else if (format === 0o120000) writer.add(path, { ...metadata, type: 'symlink', target: payload });
    else if (format === 0o010000) writer.add(path, { ...metadata, type: 'fifo' });
    else if (format === 0o020000) writer.add(path, { ...metadata, type: 'char', major, minor });
    else if (format === 0o060000) writer.add(path, { ...metadata, type: 'block', major, minor });
    else
      writer
        .openFile(path, { ...metadata, type: 'file', size: content?.length ?? 0 })
        .push(content ?? new Uint8Array(0));
  }
  writer.finish();
  return sink.image();
}

describe('EROFS: images and dumps of composefs', { skip }, () => {
  for (const row of rows) {
    const expected = row['expected'] as Expected;
    const [dumpFile, imageFile] = row['files'] as readonly VectorFile[];
    if (found === undefined || dumpFile === undefined) continue;
    if (expected.result === 'reject') {
      // The one limit that is composefs's own: how much content may stand in a dump.
      const ours = row.id.endsWith('should-fail-big-inline.dump')
        ? 'composefs limits inline content, EROFS does not'
        : false;
      it(`${row.id} is refused`, { skip: ours }, () => {
        assert.throws(() => writeDump(parseDump(found.file(dumpFile.file))), FormatError);
      });
      continue;
    }
    it(`${row.id}: the image reads as the dump says`, () => {
      assert.ok(imageFile);
      const image = readErofs(sourceOf(found.file(imageFile.file)));
      const told = expected.superblock;
      const { superblock } = image;
      assert.deepEqual(
        [
          superblock.blockSize,
          superblock.rootNid,
          superblock.inodes,
          superblock.buildTime,
          superblock.blocks,
        ],
        [2 ** told.blkszbits, told.root_nid, told.inodes, told.build_time, told.blocks],
      );
      assert.deepEqual(
        [
          superblock.metaBlock,
          superblock.xattrBlock,
          hex32(superblock.compatFeatures),
          hex32(superblock.incompatFeatures),
        ],
        [told.meta_blkaddr, told.xattr_blkaddr, told.feature_compat, told.feature_incompat],
      );
      for (const entry of parseDump(found.file(dumpFile.file))) assertEntry(image, entry);
      assert.equal([...image.walk()].length, superblock.inodes);
    });
    it(`${row.id}: our own image of the dump reads the same`, () => {
      const entries = parseDump(found.file(dumpFile.file));
      const image = readErofs(sourceOf(writeDump(entries)));
      for (const entry of entries) {
        const node = image.lookup(entry.path);
        assert.ok(node, entry.path);
        assert.equal(node.mode, entry.mode & 0o7777);
        for (const [name, value] of entry.xattrs)
          assert.equal(toHex(image.xattrs(node).get(name) ?? Uint8Array.of()), toHex(value));
        if (entry.content !== undefined) assertContent(image, node, entry);
      }
    });
  }
});
