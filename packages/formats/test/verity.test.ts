import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FormatError, fromHex, toHex } from '@osguard/formats/bytes';
import type { VerityGeometry, VeritySuperblock } from '@osguard/formats/verity';
import {
  digestPosition,
  encodeVeritySuperblock,
  formatVerityTree,
  parseRootHash,
  parseVeritySuperblock,
  rootHashPartitionIds,
  verityAlgorithms,
  verityGeometry,
  verityTableLine,
} from '@osguard/formats/verity';
import { runFuzz } from '@osguard/testkit';
import { target } from './fuzz/verity.fuzz.ts';
import { blocksOf, hasher } from './support/verity-hash.ts';

const uuid = 'a60c98d2-ae9b-4865-bfcb-b4e3ace11033';
/** The definition of the tree once more, as plainly as it can be said: a list of levels of buffers. */
function naiveRoot(data: Uint8Array, geometry: VerityGeometry, salt: Uint8Array): string {
  const hash = hasher(geometry, salt);
  let digests = [...blocksOf(data, geometry.dataBlockSize)].map((block) => Buffer.from(hash(block)));
  while (digests.length > 1) {
    const blocks: Buffer[] = [];
    for (let i = 0; i < digests.length; i += geometry.digestsPerBlock) {
      const slots = digests.slice(i, i + geometry.digestsPerBlock).map((digest) => {
        const padded = geometry.hashType === 0 ? digest.length : 1 << Math.ceil(Math.log2(digest.length));
        return Buffer.concat([digest], padded);
      });
      blocks.push(Buffer.concat(slots, geometry.hashBlockSize));
    }
    digests = blocks.map((block) => Buffer.from(hash(block)));
  }
  return digests[0]?.toString('hex') ?? '';
}

const blockSizes = fc.integer({ min: 9, max: 13 }).map((bits) => 2 ** bits);
const superblocks: fc.Arbitrary<VeritySuperblock> = fc.record(
  {
    hashType: fc.constantFrom(0 as const, 1 as const),
    uuid: fc.uuid(),
    algorithm: fc.constantFrom(...verityAlgorithms),
    dataBlockSize: fc.integer({ min: 9, max: 19 }).map((bits) => 2 ** bits),
    hashBlockSize: fc.integer({ min: 9, max: 19 }).map((bits) => 2 ** bits),
    dataBlocks: fc.integer({ min: 1, max: 2 ** 33 }),
    salt: fc.uint8Array({ maxLength: 256 }),
  },
  { noNullPrototype: true },
);

describe('dm-verity superblock', () => {
  it('parse ∘ encode is the identity', () => {
    fc.assert(
      fc.property(superblocks, (superblock) => {
        const bytes = encodeVeritySuperblock(superblock);
        assert.equal(bytes.length, 512);
        assert.deepEqual(parseVeritySuperblock(bytes), superblock);
      }),
    );
  });

  it('refuses what is not canonical, with the place', () => {
    const salt = new Uint8Array(8).fill(1);
    const good = encodeVeritySuperblock({
      hashType: 1,
      uuid,
      algorithm: 'sha256',
      dataBlockSize: 4096,
      hashBlockSize: 4096,
      dataBlocks: 7,
      salt,
    });
    const cases: readonly (readonly [number, number, string])[] = [
      [0, 0x56, 'not-this-format'],
      [8, 2, 'unsupported'],
      [12, 2, 'unsupported'],
      [39, 0x41, 'malformed'],
      [65, 0x11, 'malformed'],
      [70, 0x80, 'malformed'],
      [79, 0x80, 'malformed'],
      [72, 0, 'malformed'],
      [81, 2, 'malformed'],
      [82, 1, 'malformed'],
      [96, 1, 'malformed'],
      [511, 1, 'malformed'],
    ];
    for (const [at, value, code] of cases) {
      const bad = Uint8Array.from(good);
      bad[at] = value;
      assert.throws(
        () => parseVeritySuperblock(bad),
        (error) => error instanceof FormatError && error.code === code && (error.offset ?? 999) <= at,
        `byte ${at}`,
      );
    }
    assert.throws(() => parseVeritySuperblock(good.subarray(0, 511)), { code: 'truncated' });
    assert.throws(() => parseVeritySuperblock(Buffer.concat([good, Buffer.alloc(1)])), { code: 'malformed' });
  });

  it('survives mutation', () => {
    const { inputs } = runFuzz(target, { milliseconds: 300, seed: 1 });
    assert.ok(inputs > 10);
  });
});

function starts(hashOffset: number, superblock: boolean): number {
  return verityGeometry({ dataBlocks: 2048, hashOffset, superblock }).treeOffset;
}

describe('dm-verity geometry', () => {
  it('lays out 64 GiB without touching a byte', () => {
    const geometry = verityGeometry({ dataBlocks: 2 ** 24 });
    assert.deepEqual(
      geometry.levels.map((level) => [level.blocks, level.offset / 4096]),
      [
        [131072, 1034],
        [1024, 10],
        [8, 2],
        [1, 1],
      ],
    );
    assert.equal(geometry.hashEnd, (1034 + 131072) * 4096);
  });

  it('places the tree as veritysetup does', () => {
    assert.equal(starts(0, true), 4096);
    assert.equal(starts(512, true), 4096);
    assert.equal(starts(4096, true), 8192);
    assert.equal(starts(3584, true), 4096);
    assert.equal(starts(4096, false), 4096);
    assert.throws(() => starts(512, false), /not a multiple of 4096/);
    assert.throws(() => starts(100, true), /not a multiple of 512/);
  });

  it('knows that one data block needs no tree', () => {
    const geometry = verityGeometry({ dataBlocks: 1 });
    assert.deepEqual([geometry.levels.length, geometry.treeBytes, geometry.hashEnd], [0, 0, 4096]);
  });

  it('refuses what cannot be', () => {
    for (const bad of [
      { dataBlocks: 0 },
      { dataBlocks: 1.5 },
      { dataBlocks: -1 },
      { dataBlocks: 2 ** 53 },
      { dataBlocks: 2 ** 45 },
      { dataBlocks: 1, dataBlockSize: 333 },
      { dataBlocks: 1, dataBlockSize: 256 },
      { dataBlocks: 1, hashBlockSize: 1024 * 1024 },
      { dataBlocks: 1, hashBlockSize: 4096.5 },
      { dataBlocks: 1, hashOffset: -512 },
      { dataBlocks: 1, algorithm: 'md5' },
      { dataBlocks: 1, algorithm: 'SHA256' },
      { dataBlocks: 1, algorithm: 'constructor' },
    ]) {
      assert.throws(() => verityGeometry(bad), FormatError, JSON.stringify(bad));
    }
  });
});

describe('dm-verity tree', () => {
  it('has the root of the plain definition for any size, block and salt', () => {
    fc.assert(
      fc.property(
        blockSizes,
        blockSizes,
        fc.constantFrom(0 as const, 1 as const),
        fc.constantFrom('sha256', 'sha512', 'sha1', 'sha384'),
        fc.integer({ min: 1, max: 70 }),
        fc.uint8Array({ maxLength: 256 }),
        (dataBlockSize, hashBlockSize, hashType, algorithm, dataBlocks, salt) => {
          const geometry = verityGeometry({ dataBlockSize, hashBlockSize, hashType, algorithm, dataBlocks });
          const data = new Uint8Array(geometry.dataBytes).map((_, i) => (i * 7 + (i >> 9)) & 0xff);
          const hash = hasher(geometry, salt);
          const { rootHash, tree } = formatVerityTree(blocksOf(data, dataBlockSize), { geometry, hash });
          assert.equal(rootHash, naiveRoot(data, geometry, salt));
          assert.equal(tree.length, geometry.treeBytes);
          if (geometry.levels.length > 0) {
            const at = digestPosition(geometry, 0, dataBlocks - 1);
            const stored = tree.subarray(at, at + geometry.digestSize);
            assert.deepEqual(stored, new Uint8Array(hash(data.subarray(data.length - dataBlockSize))));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('refuses too few, too many and torn blocks', () => {
    const geometry = verityGeometry({ dataBlocks: 2 });
    const hash = hasher(geometry, new Uint8Array(0));
    const block = new Uint8Array(4096);
    for (const blocks of [[], [block], [block, block, block], [block, block.subarray(1)]]) {
      assert.throws(() => formatVerityTree(blocks, { geometry, hash }), FormatError);
    }
  });
});

describe('dm-verity in words', () => {
  it('writes the table line of the kernel documentation', () => {
    const geometry = verityGeometry({ dataBlocks: 262144, superblock: false, hashOffset: 4096 });
    const hex = '4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076';
    const salt = fromHex('1234000000000000000000000000000000000000000000000000000000000000');
    const line = verityTableLine({
      geometry,
      rootHash: parseRootHash(hex),
      salt,
      dataDevice: '/dev/sda1',
      hashDevice: '/dev/sda2',
      optional: ['panic_on_corruption'],
    });
    const rest = `sha256 ${hex} ${toHex(salt)} 1 panic_on_corruption`;
    assert.equal(line, `0 2097152 verity 1 /dev/sda1 /dev/sda2 4096 4096 262144 1 ${rest}`);
  });

  it('splits a root hash into partition UUIDs', () => {
    const ids = rootHashPartitionIds(
      parseRootHash(`${'0123456789abcdef'.repeat(2)}${'fedcba9876543210'.repeat(2)}`),
    );
    assert.deepEqual(ids, {
      data: '01234567-89ab-cdef-0123-456789abcdef',
      tree: 'fedcba98-7654-3210-fedc-ba9876543210',
    });
  });

  it('refuses root hashes of another algorithm', () => {
    assert.throws(() => parseRootHash('ab'.repeat(32), 64), FormatError);
    assert.throws(() => parseRootHash('zz'.repeat(32)), FormatError);
    assert.throws(() => parseRootHash(''), FormatError);
    assert.equal(parseRootHash('AB'.repeat(32), 32), 'ab'.repeat(32));
  });
});
