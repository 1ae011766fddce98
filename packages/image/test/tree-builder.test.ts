import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FormatError } from '@osguard/formats/bytes';
import { scratch } from '@osguard/testkit';
import type { TreeBuilderOptions } from '../src/verity/index.ts';
import { createTreeBuilder, formatVerity } from '../src/verity/index.ts';

const uuid = 'a60c98d2-ae9b-4865-bfcb-b4e3ace11033';
const salt = new Uint8Array(32).map((_, i) => i);

/** Bytes that differ in every block, made quickly. */
function sample(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 256) bytes.writeUInt32LE(at >>> 8, at);
  return bytes;
}

async function fromFile(data: Uint8Array, options: TreeBuilderOptions): Promise<[string, Buffer]> {
  using dir = scratch('verity');
  writeFileSync(dir.file('data'), data);
  const places = { data: { path: dir.file('data') }, tree: { path: dir.file('tree') } };
  const { rootHash } = await formatVerity({ ...places, ...options });
  return [rootHash, readFileSync(dir.file('tree'))];
}

describe('createTreeBuilder', () => {
  it('gives what formatVerity gives, however the bytes come', async () => {
    const bits = fc.integer({ min: 9, max: 16 });
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          dataBlockSize: bits.map((n) => 2 ** n),
          hashBlockSize: bits.map((n) => 2 ** n),
          hashType: fc.constantFrom(0 as const, 1 as const),
          algorithm: fc.constantFrom('sha256', 'sha512', 'sha1'),
          superblock: fc.boolean(),
          salt: fc.uint8Array({ maxLength: 256 }),
        }),
        fc.integer({ min: 1, max: 600 }),
        fc.array(fc.integer({ min: 1, max: 700_000 }), { minLength: 1, maxLength: 8 }),
        async (parameters, blocks, runs) => {
          const { dataBlockSize } = parameters;
          const data = sample(Math.min(blocks, 2 ** 23 / dataBlockSize) * dataBlockSize);
          using builder = createTreeBuilder({ ...parameters, uuid });
          for (let at = 0, turn = 0; at < data.length; turn += 1) {
            const run = data.subarray(at, at + (runs[turn % runs.length] ?? 1));
            builder.push(run);
            at += run.length;
          }
          const built = builder.finish();
          const [rootHash, tree] = await fromFile(data, { ...parameters, uuid });
          assert.equal(built.rootHash, rootHash);
          assert.ok(Buffer.concat(built.pieces).equals(tree));
        },
      ),
      { numRuns: 25 },
    );
  });

  it('hashes what was said last about a block', async () => {
    const data = sample(3000 * 4096);
    using builder = createTreeBuilder({ salt, uuid });
    builder.push(new Uint8Array(4096));
    builder.push(data.subarray(4096, 2000 * 4096));
    builder.patch(1999, new Uint8Array(4096));
    builder.patch(0, new Uint8Array(4096).fill(9));
    builder.push(data.subarray(2000 * 4096, 2 ** 23 - 1));
    builder.push(data.subarray(2 ** 23 - 1, 2 ** 23));
    builder.push(data.subarray(2 ** 23));
    builder.patch(1999, data.subarray(1999 * 4096, 2000 * 4096));
    builder.patch(0, data.subarray(0, 4096));
    const { rootHash } = builder.finish();
    assert.equal(rootHash, (await fromFile(data, { salt, uuid }))[0]);
  });

  it('is the same on one thread and on several', () => {
    const data = sample(2 * 1024 * 1024);
    const roots = [1, 2, 4].map((threads) => {
      using builder = createTreeBuilder({ salt, uuid, threads });
      for (let round = 0; round < 40; round += 1) {
        data.writeUInt32LE(round, 17);
        builder.push(data);
      }
      return builder.finish().rootHash;
    });
    assert.equal(new Set(roots).size, 1);
  });

  it('writes the data too when asked, by whichever thread hashes it', () => {
    using dir = scratch('verity');
    const data = sample(80 * 1024 * 1024);
    const file = dir.file('copy');
    const fd = openSync(file, 'w+');
    try {
      using builder = createTreeBuilder({
        salt,
        uuid,
        threads: 3,
        expectedSize: data.length,
        copyTo: { fd, offset: 512 },
      });
      builder.push(new Uint8Array(4096));
      for (let at = 4096; at < data.length; at += 300_000) builder.push(data.subarray(at, at + 300_000));
      builder.patch(0, data.subarray(0, 4096));
      const { rootHash } = builder.finish();
      using plain = createTreeBuilder({ salt, uuid, threads: 1 });
      plain.push(data);
      assert.equal(rootHash, plain.finish().rootHash);
      assert.ok(readFileSync(file).subarray(512).equals(data));
    } finally {
      closeSync(fd);
    }
  });

  it('says what went wrong when the data cannot be written', () => {
    const fd = openSync('/dev/full', 'w');
    try {
      for (const threads of [1, 3]) {
        using builder = createTreeBuilder({ salt, uuid, threads, expectedSize: 2 ** 30, copyTo: { fd } });
        assert.throws(
          () => {
            for (let round = 0; round < 50; round += 1) builder.push(new Uint8Array(2 ** 20));
            builder.finish();
          },
          { code: 'ENOSPC' },
        );
      }
    } finally {
      closeSync(fd);
    }
  });

  it('refuses what is no whole number of blocks, and patches of what never came', () => {
    assert.throws(() => createTreeBuilder({ salt }), /needs a UUID/);
    assert.throws(() => createTreeBuilder({ salt: new Uint8Array(257), uuid }), FormatError);
    assert.throws(() => createTreeBuilder({ salt, uuid, dataBlockSize: 1000 }), FormatError);
    using builder = createTreeBuilder({ salt, uuid });
    assert.throws(() => builder.finish(), /no data was pushed/);
    builder.push(new Uint8Array(5000));
    assert.equal(builder.size, 5000);
    assert.throws(() => builder.finish(), /5000 bytes were pushed/);
    for (const [block, size] of [
      [1, 4096],
      [-1, 4096],
      [0.5, 4096],
      [0, 4095],
    ] as const) {
      assert.throws(() => builder.patch(block, new Uint8Array(size)), FormatError);
    }
    builder.push(new Uint8Array(8192 - 5000));
    assert.equal(builder.finish().geometry.dataBlocks, 2);
    assert.throws(() => builder.push(new Uint8Array(1)), /finished/);
    assert.throws(() => builder.finish(), /finished/);
  });

  it('writes a tree that lies where its geometry says', async () => {
    using dir = scratch('verity');
    const data = sample(700 * 4096);
    using builder = createTreeBuilder({ salt, uuid, hashOffset: data.length });
    builder.push(data);
    const { geometry, pieces, rootHash } = builder.finish();
    const path = dir.file('both');
    writeFileSync(path, data);
    const fd = openSync(path, 'r+');
    let at = geometry.hashOffset;
    for (const piece of pieces) at += writeSync(fd, piece, 0, piece.length, at);
    closeSync(fd);
    assert.equal(at, geometry.hashEnd);
    writeFileSync(dir.file('other'), data);
    const other = { path: dir.file('other'), size: data.length };
    const made = await formatVerity({
      data: other,
      tree: { path: other.path },
      hashOffset: data.length,
      salt,
      uuid,
    });
    assert.equal(made.rootHash, rootHash);
    assert.ok(readFileSync(path).equals(readFileSync(other.path)));
  });
});
