import { equalBytes } from '@osguard/formats/bytes';
import type { VeritySuperblock } from '@osguard/formats/verity';
import { encodeVeritySuperblock, parseVeritySuperblock, verityGeometry } from '@osguard/formats/verity';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const usual: VeritySuperblock = {
  hashType: 1,
  uuid: 'a60c98d2-ae9b-4865-bfcb-b4e3ace11033',
  algorithm: 'sha256',
  dataBlockSize: 4096,
  hashBlockSize: 4096,
  dataBlocks: 9_000_000,
  salt: new Uint8Array(32).fill(7),
};
const oldest: VeritySuperblock = {
  ...usual,
  hashType: 0,
  algorithm: 'sha512',
  hashBlockSize: 65536,
  salt: new Uint8Array(256).fill(1),
};

export const target: FuzzTarget = defineFuzz({
  name: 'verity',
  seeds: () => [encodeVeritySuperblock(usual), encodeVeritySuperblock(oldest)],
  run: (bytes) => {
    const superblock = parseVeritySuperblock(bytes);
    if (!equalBytes(encodeVeritySuperblock(superblock), bytes)) throw new Error('encodes to other bytes');
    return verityGeometry(superblock);
  },
});
