import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { toHex } from '@osguard/formats/bytes';
import type { VerityGeometry, VerityParameters, VeritySuperblock } from '@osguard/formats/verity';
import {
  describeVerity,
  encodeVeritySuperblock,
  formatVerityTree,
  parseVeritySuperblock,
  verityGeometry,
} from '@osguard/formats/verity';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { blocksOf, hasher } from './support/verity-hash.ts';

const uuid = 'a60c98d2-ae9b-4865-bfcb-b4e3ace11033';

function wholeHashDevice(
  geometry: VerityGeometry,
  superblock: VeritySuperblock,
  data: Uint8Array,
): [string, Buffer] {
  const { salt } = superblock;
  const made = formatVerityTree(blocksOf(data, geometry.dataBlockSize), {
    geometry,
    hash: hasher(geometry, salt),
  });
  const device = Buffer.alloc(geometry.hashEnd);
  if (geometry.superblock) device.set(encodeVeritySuperblock(superblock), geometry.hashOffset);
  device.set(made.tree, geometry.treeOffset);
  return [made.rootHash, device];
}

describe('dm-verity, judged by veritysetup', () => {
  const tool = judge('veritysetup');
  const cases: readonly (Partial<VerityParameters> & { readonly saltSize?: number })[] = [
    {},
    { dataBlocks: 1 },
    { dataBlocks: 129, hashOffset: 1536 },
    { hashType: 0 as const, algorithm: 'sha1' },
    { algorithm: 'sha512', dataBlockSize: 512, hashBlockSize: 512 },
    { algorithm: 'sha384', hashBlockSize: 1024, dataBlocks: 300 },
    { algorithm: 'blake2b-512', hashBlockSize: 65536 },
    { dataBlockSize: 524288, hashBlockSize: 512, dataBlocks: 20 },
    { superblock: false, hashOffset: 8192 },
    { superblock: false, saltSize: 256 },
    { saltSize: 0 },
    ...['sha224', 'sha3-256', 'sha3-512', 'blake2s-256', 'ripemd160', 'sm3'].map((algorithm) => ({
      algorithm,
    })),
  ];
  for (const { saltSize = 32, ...given } of cases) {
    it(
      `${JSON.stringify({ saltSize, ...given })} is byte-exact`,
      { skip: tool ? false : noJudge('veritysetup') },
      () => {
        using dir = scratch('verity');
        const geometry = verityGeometry({ dataBlocks: 150, ...given });
        const salt = new Uint8Array(saltSize).map((_, i) => i * 3 + 1);
        const data = Buffer.alloc(geometry.dataBytes).map((_, i) => (i * 13 + (i >> 11)) & 0xff);
        const superblock: VeritySuperblock = { ...geometry, uuid, salt };
        const [rootHash, device] = wholeHashDevice(geometry, superblock, data);
        writeFileSync(dir.file('data'), data);
        const done = tool?.run([
          'format',
          dir.file('data'),
          dir.file('tree'),
          `--uuid=${uuid}`,
          `--salt=${toHex(salt) || '-'}`,
          `--hash=${geometry.algorithm}`,
          `--format=${geometry.hashType}`,
          `--hash-offset=${geometry.hashOffset}`,
          `--data-block-size=${geometry.dataBlockSize}`,
          `--hash-block-size=${geometry.hashBlockSize}`,
          ...(geometry.superblock ? [] : ['--no-superblock']),
        ]);
        assert.equal(done?.status, 0, done?.stderr);
        assert.match(done?.stdout ?? '', new RegExp(`^Root hash:\\s+${rootHash}$`, 'm'));
        assert.ok(readFileSync(dir.file('tree')).equals(device));
        if (geometry.superblock) {
          const dump = tool?.run(['dump', dir.file('tree'), `--hash-offset=${geometry.hashOffset}`]);
          const words = `VERITY header information for ${dir.file('tree')}\n${describeVerity(superblock, geometry)}`;
          assert.equal(dump?.stdout, words);
          const read = device.subarray(geometry.hashOffset, geometry.hashOffset + 512);
          assert.deepEqual(parseVeritySuperblock(read), {
            hashType: geometry.hashType,
            uuid,
            algorithm: geometry.algorithm,
            salt,
            dataBlockSize: geometry.dataBlockSize,
            hashBlockSize: geometry.hashBlockSize,
            dataBlocks: geometry.dataBlocks,
          });
        }
      },
    );
  }
});
