import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { encodeRelease, parseRelease } from '../../src/release/index.ts';

const sha256 = '0f'.repeat(32);

export const target: FuzzTarget = defineFuzz({
  name: 'release',
  seeds: () => [
    encodeRelease({
      name: 'h',
      version: '1',
      kernel: '7.3',
      architecture: 'amd64',
      created: '2026-11-22T00:00:00Z',
      files: [{ path: 'disk.raw', size: 1, sha256 }],
      rootHash: sha256,
      packages: { count: 0, sha256 },
      partitions: [],
    }),
  ],
  run: parseRelease,
});
