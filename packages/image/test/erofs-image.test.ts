import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { FormatError, sourceOf } from '@osguard/formats/bytes';
import { readErofs } from '@osguard/formats/erofs';
import { judge, noJudge, scratch } from '@osguard/testkit';
import type { ImageEntry } from '../src/erofs/index.ts';
import { writeErofsImage } from '../src/erofs/index.ts';
import { createTreeBuilder } from '../src/verity/index.ts';

const metadata = { mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000 };
const identity = { uuid: new Uint8Array(16).fill(3), buildTime: 1_700_000_000 };

function body(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += 1) bytes[at] = (at * 31 + (at >> 10)) & 0xff;
  return bytes;
}

function write(
  path: string,
  entries: readonly ImageEntry[],
  more: Partial<Parameters<typeof writeErofsImage>[1]> = {},
): Buffer {
  const fd = openSync(path, 'w');
  try {
    writeErofsImage(entries, { fd, ...identity, ...more });
  } finally {
    closeSync(fd);
  }
  return readFileSync(path);
}

describe('EROFS images from files', () => {
  it('do not depend on the order of the entries, on where bodies are, or on where the image starts', () => {
    using dir = scratch('image');
    writeFileSync(dir.file('big'), body(700_001));
    const here: ImageEntry[] = [
      { ...metadata, path: '/', type: 'directory', mode: 0o755 },
      { ...metadata, path: '/a', type: 'directory', mode: 0o755 },
      { ...metadata, path: '/a-b', type: 'file', body: body(10) },
      { ...metadata, path: '/a/z', type: 'file', body: { file: dir.file('big') } },
      { path: '/a/link', type: 'link', target: '/a/z' },
      { ...metadata, path: '/a/s', type: 'symlink', target: 'z' },
    ];
    const image = write(dir.file('one'), here);
    const elsewhere = here.map((entry) =>
      entry.path === '/a/z'
        ? { ...metadata, path: '/a/z', type: 'file' as const, body: body(700_001) }
        : entry,
    );
    assert.ok(write(dir.file('two'), elsewhere.toReversed()).equals(image));
    assert.ok(
      write(dir.file('three'), here, { position: 1 << 20 })
        .subarray(1 << 20)
        .equals(image),
    );
    const read = readErofs(sourceOf(image));
    const node = read.lookup('/a/link') ?? assert.fail();
    assert.ok(body(700_001).equals(read.read(node)));
    assert.equal(node.nlink, 2);
  });

  it('take only as much of a file as they are told', () => {
    using dir = scratch('image');
    writeFileSync(dir.file('body'), body(9000));
    const image = write(dir.file('image'), [
      { ...metadata, path: '/part', type: 'file', body: { file: dir.file('body'), size: 5000 } },
    ]);
    const read = readErofs(sourceOf(image));
    assert.ok(body(5000).equals(read.read(read.lookup('/part') ?? assert.fail())));
    const longer = { file: dir.file('body'), size: 9001 };
    assert.throws(
      () => write(dir.file('image'), [{ ...metadata, path: '/part', type: 'file', body: longer }]),
      (error) => error instanceof FormatError && error.code === 'truncated',
    );
    assert.throws(
      () =>
        write(dir.file('image'), [{ ...metadata, path: '/part', type: 'file', body: { file: dir.path } }]),
      (error) => error instanceof FormatError && error.code === 'not-encodable',
    );
  });

  const veritysetup = judge('veritysetup');
  it('are hashed while they are written', { skip: veritysetup ? false : noJudge('veritysetup') }, () => {
    using dir = scratch('image');
    using builder = createTreeBuilder({
      salt: new Uint8Array(32),
      uuid: 'a60c98d2-ae9b-4865-bfcb-b4e3ace11033',
    });
    const entries = Array.from({ length: 300 }, (_, index): ImageEntry => ({
      ...metadata,
      path: `/d/${index}`,
      type: 'file',
      body: body(index * 97),
    }));
    write(dir.file('image'), entries, {
      onChunk(offset, bytes) {
        if (offset === builder.size) builder.push(bytes);
        else builder.patch(offset / 4096, bytes);
      },
    });
    const { rootHash, pieces } = builder.finish();
    writeFileSync(dir.file('tree'), Buffer.concat(pieces));
    const { status, stderr } =
      veritysetup?.run(['verify', dir.file('image'), dir.file('tree'), rootHash]) ?? {};
    assert.equal(status, 0, stderr);
  });
});
