import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readdirSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FormatError } from '@osguard/formats/bytes';
import type { VerityParameters } from '@osguard/formats/verity';
import { formatVerityTree, parseRootHash, verityGeometry } from '@osguard/formats/verity';
import type { Scratch } from '@osguard/testkit';
import { scratch } from '@osguard/testkit';
import { FileThreads } from '../src/files/file-threads.ts';
import type { LevelJob } from '../src/verity/level-job.ts';
import type { FormattedVerity, FormatVerityOptions, VerityVerdict } from '../src/verity/index.ts';
import { formatVerity, verifyVerity } from '../src/verity/index.ts';

const uuid = 'a60c98d2-ae9b-4865-bfcb-b4e3ace11033';
const salt = new Uint8Array(32).map((_, i) => i);

function sample(size: number): Buffer {
  return Buffer.from(new Uint8Array(size).map((_, i) => (i * 31 + (i >> 8) * 7) & 0xff));
}

function pureRoot(data: Uint8Array, parameters: Partial<VerityParameters>, saltBytes: Uint8Array): string {
  const dataBlockSize = parameters.dataBlockSize ?? 4096;
  const geometry = verityGeometry({ ...parameters, dataBlocks: data.length / dataBlockSize });
  const blocks = Array.from({ length: geometry.dataBlocks }, (_, i) =>
    data.subarray(i * dataBlockSize, (i + 1) * dataBlockSize),
  );
  const hash = (block: Uint8Array): Uint8Array => {
    const parts = geometry.hashType === 1 ? [saltBytes, block] : [block, saltBytes];
    return createHash(geometry.algorithm).update(Buffer.concat(parts)).digest();
  };
  return formatVerityTree(blocks, { geometry, hash }).rootHash;
}

async function formatted(
  dir: Scratch,
  data: Uint8Array,
  options: Partial<FormatVerityOptions> = {},
): Promise<FormattedVerity> {
  writeFileSync(dir.file('data'), data);
  const places = { data: { path: dir.file('data') }, tree: { path: dir.file('tree') } };
  return formatVerity({ ...places, salt, uuid, ...options });
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x40;
  writeFileSync(path, bytes);
}

async function verified(
  dir: Scratch,
  { rootHash }: Pick<FormattedVerity, 'rootHash'>,
): Promise<VerityVerdict> {
  return verifyVerity({ data: { path: dir.file('data') }, tree: { path: dir.file('tree') }, rootHash });
}

function failed({ checks }: VerityVerdict): string[] {
  return checks.filter((check) => !check.ok).map((check) => check.id);
}

describe('formatVerity', () => {
  it('compares a twin in the same pass, with a helper and without', async () => {
    using dir = scratch('verity');
    // Enough for a helper to take part.
    const data = sample(9 * 1024 * 1024);
    const { rootHash } = await formatted(dir, data);
    const options = { data: { path: dir.file('data') }, tree: { path: dir.file('tree') }, rootHash };
    await using pool = new FileThreads(1);
    for (const helper of [undefined, (job: LevelJob) => pool.level(job)]) {
      const unlike = async (twin: Uint8Array): Promise<VerityVerdict> => {
        writeFileSync(dir.file('twin'), twin);
        return verifyVerity({ ...options, twin: { path: dir.file('twin') }, ...(helper && { helper }) });
      };
      const { ok, twin } = await unlike(data);
      assert.deepEqual([ok, twin], [true, { unlike: undefined }]);
      for (const at of [0, 5_000_000, data.length - 1]) {
        const other = Buffer.from(data);
        other[at] = (other[at] ?? 0) ^ 1;
        const found = await unlike(other);
        assert.deepEqual([found.ok, found.twin], [true, { unlike: Math.floor(at / 4096) }], String(at));
      }
      // Of another size it is no twin, and nothing is claimed of it.
      assert.equal((await unlike(data.subarray(4096))).twin, undefined);
      assert.equal((await unlike(Buffer.concat([data, Buffer.alloc(1)]))).twin, undefined);
    }
    truncateSync(dir.file('data'), 4096);
    const cut = await verifyVerity({ ...options, twin: { path: dir.file('twin') } });
    assert.deepEqual([cut.ok, cut.twin], [false, undefined]);
  });

  it('agrees with the pure formatter for any parameters, and verifies', async () => {
    const bits = fc.integer({ min: 9, max: 16 });
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          dataBlockSize: bits.map((n) => 2 ** n),
          hashBlockSize: bits.map((n) => 2 ** n),
          hashType: fc.constantFrom(0 as const, 1 as const),
          algorithm: fc.constantFrom('sha256', 'sha512', 'sha1', 'sha384'),
          superblock: fc.boolean(),
        }),
        fc.integer({ min: 1, max: 300 }),
        fc.uint8Array({ maxLength: 256 }),
        async (parameters, blocks, saltBytes) => {
          using dir = scratch('verity');
          const data = sample(
            Math.min(blocks, 2 ** 21 / parameters.dataBlockSize) * parameters.dataBlockSize,
          );
          const made = await formatted(dir, data, { ...parameters, salt: saltBytes });
          assert.equal(made.rootHash, pureRoot(data, parameters, saltBytes));
          const { dataBlocks } = made.geometry;
          const verdict = await verifyVerity({
            data: { path: dir.file('data') },
            tree: { path: dir.file('tree') },
            rootHash: made.rootHash,
            ...(!parameters.superblock && { bare: { ...parameters, dataBlocks, salt: saltBytes } }),
          });
          assert.deepEqual(failed(verdict), []);
          assert.equal(verdict.ok, true);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('gives the same tree on one thread and on several', async () => {
    using dir = scratch('verity');
    const size = 160 * 1024 * 1024;
    const fd = openSync(dir.file('data'), 'w');
    for (let at = 0; at < size; at += 16 * 1024 * 1024) writeSync(fd, randomBytes(4096), 0, 4096, at);
    ftruncateSync(fd, size);
    closeSync(fd);
    const data = { path: dir.file('data') };
    const seen: number[] = [];
    const one = await formatVerity({ data, tree: { path: dir.file('one') }, salt, uuid, threads: 1 });
    const tree = { path: dir.file('many') };
    const onProgress = (done: number): unknown => seen.push(done);
    const many = await formatVerity({ data, tree, salt, uuid, threads: 3, onProgress });
    assert.equal(one.rootHash, many.rootHash);
    assert.ok(readFileSync(dir.file('one')).equals(readFileSync(dir.file('many'))));
    assert.ok(seen.length > 0 && seen.every((done) => done <= size));
    const verdict = await verifyVerity({ data, tree, rootHash: many.rootHash, threads: 3 });
    assert.equal(verdict.ok, true);
    const broken = openSync(data.path, 'r+');
    for (let at = 12345; at < size; at += 2 ** 20) writeSync(broken, Buffer.from([0x5a]), 0, 1, at);
    closeSync(broken);
    const { bad, badCount } = await verifyVerity({ data, tree, rootHash: many.rootHash, threads: 3 });
    assert.deepEqual([badCount, bad.length], [160, 160]);
    assert.ok(bad.every(({ index }, number) => index === number * 256 + 3));
    const cut = await verifyVerity({ data: { ...data, size: size - 4096 }, tree, rootHash: many.rootHash });
    assert.deepEqual(failed(cut), ['verity-data-present', 'verity-root-hash', 'verity-tree', 'verity-data']);
  });

  it('writes behind the data in one file, and into a part of a disk', async () => {
    using dir = scratch('verity');
    const data = sample(300 * 4096);
    const path = dir.file('disk');
    writeFileSync(path, Buffer.concat([Buffer.alloc(8192, 0x77), data, Buffer.alloc(65536, 0x77)]));
    const area = { path, offset: 8192, size: data.length };
    const tree = { path, offset: 8192 };
    const made = await formatVerity({ data: area, tree, hashOffset: data.length, salt, uuid });
    assert.equal(made.rootHash, pureRoot(data, {}, salt));
    const disk = readFileSync(path);
    assert.ok(disk.subarray(0, 8192).equals(Buffer.alloc(8192, 0x77)));
    assert.ok(disk.subarray(8192, 8192 + data.length).equals(data));
    assert.ok(disk.subarray(8192 + made.geometry.hashEnd).every((byte) => byte === 0x77));
    const verdict = await verifyVerity({
      data: area,
      tree,
      hashOffset: data.length,
      rootHash: made.rootHash,
    });
    assert.equal(verdict.ok, true);
  });

  it('leaves nothing of what was there before, nor lets it pass', async () => {
    using dir = scratch('verity');
    const path = dir.file('disk');
    const size = 5000 * 512;
    writeFileSync(path, Buffer.alloc(size + 2 ** 21, 0x77));
    const shape = { dataBlockSize: 512, hashBlockSize: 524_288, hashOffset: 2_600_960 };
    const data = { path, size };
    const { rootHash, geometry } = await formatVerity({ data, tree: { path }, salt, uuid, ...shape });
    const after = readFileSync(path);
    const unused = after.subarray(geometry.treeOffset + 5000 * 32, geometry.hashEnd);
    assert.ok(unused.every((byte) => byte === 0));
    assert.ok(after.subarray(shape.hashOffset + 512, geometry.treeOffset).every((byte) => byte === 0));
    const where = { data, tree: { path }, hashOffset: shape.hashOffset, rootHash };
    assert.deepEqual(failed(await verifyVerity(where)), []);
    flip(path, geometry.hashEnd - 1);
    assert.deepEqual(failed(await verifyVerity(where)), ['verity-root-hash', 'verity-tree', 'verity-data']);
  });

  it('refuses what cannot be, and leaves nothing behind', async () => {
    using dir = scratch('verity');
    const data = sample(8192);
    const path = dir.file('data');
    const refused: readonly (readonly [Partial<FormatVerityOptions>, RegExp])[] = [
      [{ dataBlockSize: 333 }, /data block size 333/],
      [{ salt: new Uint8Array(257) }, /salt of 257 bytes/],
      [{ algorithm: 'blake2b-256' }, /"blake2b-256" is not supported/],
      [{ data: { path, size: 6000 } }, /not a whole number of blocks/],
      [{ data: { path, size: 0 } }, /no data/],
      [{ data: { path, offset: 8192 } }, /no data/],
      [{ data: { path, size: 12288 } }, /expected 12288 bytes of data, found 8192/],
      [{ data: { path, offset: -1 } }, /no offset or size/],
      [{ hashOffset: 100 }, /not a multiple of 512/],
      [{ tree: { path } }, /overlaps the data/],
      [{ tree: { path, offset: 4096 } }, /overlaps the data/],
      [{ tree: { path: dir.file('tree'), size: 4096 } }, /needs 8192 bytes, there is room for 4096/],
    ];
    for (const [options, message] of refused) {
      await assert.rejects(
        formatted(dir, data, options),
        (error) => error instanceof FormatError && message.test(error.message),
        String(message),
      );
    }
    const withoutUuid = { data: { path }, tree: { path: dir.file('tree') }, salt };
    await assert.rejects(formatVerity(withoutUuid), /needs a UUID/);
    assert.deepEqual(readdirSync(dir.path), ['data']);
    assert.ok(readFileSync(path).equals(data));
  });

  it('stops at the signal and leaves nothing behind', async () => {
    using dir = scratch('verity');
    const fd = openSync(dir.file('data'), 'w');
    ftruncateSync(fd, 256 * 1024 * 1024);
    closeSync(fd);
    const stop = new AbortController();
    const places = { data: { path: dir.file('data') }, tree: { path: dir.file('tree') } };
    const work = formatVerity({ ...places, salt, uuid, signal: stop.signal, onProgress: () => stop.abort() });
    await assert.rejects(work, { name: 'AbortError' });
    assert.deepEqual(readdirSync(dir.path), ['data']);
  });
});

describe('verifyVerity', () => {
  it('finds every corruption at its place', async () => {
    using dir = scratch('verity');
    const data = sample(20000 * 512);
    const made = await formatted(dir, data, { dataBlockSize: 512, hashBlockSize: 512 });
    const { levels } = made.geometry;
    assert.equal(levels.length, 4);
    const tree = readFileSync(dir.file('tree'));
    for (const [level, index, byte] of [
      [-1, 0, 0],
      [-1, 19999, 511],
      [-1, 12345, 77],
      [0, 0, 0],
      [0, 1249, 511],
      [1, 78, 100],
      [2, 4, 3],
      [3, 0, 8],
    ] as const) {
      const place = levels[level];
      const offset = (place?.offset ?? 0) + index * 512;
      flip(dir.file(place === undefined ? 'data' : 'tree'), offset + byte);
      const verdict = await verified(dir, made);
      const count = Math.min(16 ** (level + 1), 20000);
      const covers = { first: index * 16 ** (level + 1), count };
      const area = place === undefined ? 'data' : 'tree';
      covers.count = Math.min(count, 20000 - covers.first);
      assert.deepEqual(verdict.bad, [{ area, level, index, offset, covers }]);
      assert.equal(verdict.ok, false);
      assert.equal(verdict.badCount, 1);
      const expected = { [-1]: ['verity-data'], 3: ['verity-root-hash', 'verity-tree', 'verity-data'] }[
        level as -1
      ];
      assert.deepEqual(failed(verdict), expected ?? ['verity-tree', 'verity-data']);
      writeFileSync(dir.file('data'), data);
      writeFileSync(dir.file('tree'), tree);
    }
  });

  it('lists the first bad blocks and counts them all', async () => {
    using dir = scratch('verity');
    const data = sample(5000 * 4096);
    const made = await formatted(dir, data);
    for (let block = 0; block < 5000; block += 7) data[block * 4096 + 5] = (data[block * 4096 + 5] ?? 0) ^ 1;
    writeFileSync(dir.file('data'), data);
    const areas = { data: { path: dir.file('data') }, tree: { path: dir.file('tree') } };
    const verdict = await verifyVerity({ ...areas, rootHash: made.rootHash, maxBad: 3 });
    assert.deepEqual([verdict.ok, verdict.badCount], [false, Math.ceil(5000 / 7)]);
    assert.deepEqual(
      verdict.bad.map(({ index }) => index),
      [0, 7, 14],
    );
    const none = await verifyVerity({ ...areas, rootHash: made.rootHash, maxBad: 0 });
    assert.deepEqual([none.ok, none.badCount, none.bad], [false, Math.ceil(5000 / 7), []]);
  });

  it('never passes on missing bytes, wrong root hashes or unreadable parameters', async () => {
    using dir = scratch('verity');
    const made = await formatted(dir, sample(200 * 4096));
    const tree = readFileSync(dir.file('tree'));
    const others = ['verity-root-hash', 'verity-tree', 'verity-data'];
    const wrong = parseRootHash('00'.repeat(32));
    assert.deepEqual(failed(await verified(dir, { rootHash: wrong })), others);
    const short = parseRootHash('00'.repeat(20));
    const everything = ['verity-superblock', 'verity-data-present', 'verity-tree-present', ...others];
    assert.deepEqual(failed(await verified(dir, { rootHash: short })), everything);
    truncateSync(dir.file('data'), 200 * 4096 - 1);
    assert.deepEqual(failed(await verified(dir, made)), ['verity-data-present', ...others]);
    writeFileSync(dir.file('data'), '');
    assert.deepEqual(failed(await verified(dir, made)), ['verity-data-present', ...others]);
    writeFileSync(dir.file('data'), sample(200 * 4096));
    truncateSync(dir.file('tree'), tree.length - 1);
    assert.deepEqual(failed(await verified(dir, made)), ['verity-tree-present', ...others]);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(8192), tree.subarray(0, 511)]) {
      writeFileSync(dir.file('tree'), bytes);
      assert.deepEqual(failed(await verified(dir, made)), everything);
    }
    writeFileSync(dir.file('tree'), tree);
    assert.equal((await verified(dir, made)).ok, true);
  });

  it('never passes when reading ends early', async () => {
    using dir = scratch('verity');
    const made = await formatted(dir, sample(200 * 4096));
    const nothing = { path: '/dev/null', size: 200 * 4096 };
    const tree = { path: dir.file('tree') };
    const verdict = await verifyVerity({ data: nothing, tree, rootHash: made.rootHash });
    assert.deepEqual(failed(verdict), ['verity-data']);
    assert.match(verdict.checks.at(-1)?.found ?? '', /bytes are missing/);
    const places = { data: nothing, tree: { path: dir.file('other') } };
    await assert.rejects(formatVerity({ ...places, salt, uuid }), { code: 'truncated' });
  });

  it('refuses bytes beside the digests that are not zero, as veritysetup does', async () => {
    using dir = scratch('verity');
    const data = sample(100 * 4096);
    const made = await formatted(dir, data);
    const tree = readFileSync(dir.file('tree'));
    tree[made.geometry.treeOffset + 101 * 32] = 1;
    writeFileSync(dir.file('tree'), tree);
    const block = tree.subarray(made.geometry.treeOffset, made.geometry.treeOffset + 4096);
    const rootHash = parseRootHash(createHash('sha256').update(salt).update(block).digest('hex'));
    const verdict = await verified(dir, { rootHash });
    assert.deepEqual(failed(verdict), ['verity-data']);
    assert.match(verdict.checks.at(-1)?.found ?? '', /not zero in level 0 block 0 /);
    assert.equal(existsSync(dir.file('tree')), true);
  });
});
