import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { encodeProvenance, parseProvenance } from '../../src/release/index.ts';

const sha256 = '0f'.repeat(32);

export const target: FuzzTarget = defineFuzz({
  name: 'provenance',
  seeds: () => [
    encodeProvenance({
      subjects: [
        { name: 'disk.raw', digest: { sha256OfPieces: sha256 } },
        { name: 'uki.efi', digest: { sha256 } },
      ],
      definition: { name: 'h', packages: ['vim'] },
      time: 1_700_000_000,
      dependencies: [{ name: 'bash', uri: 'pkg:deb/debian/bash@5?arch=amd64', digest: { sha256 } }],
      osguard: '0.1.0',
    }),
  ],
  run: parseProvenance,
});
