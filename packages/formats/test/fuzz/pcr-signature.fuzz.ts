import { encodePcrSignatures, parsePcrSignatures } from '@osguard/formats/pcr-signature';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const entry = {
  pcrs: [4, 11],
  keyFingerprint: 'ab'.repeat(32),
  policy: 'cd'.repeat(32),
  signature: new Uint8Array(32).fill(9),
};

export const target: FuzzTarget = defineFuzz({
  name: 'pcr-signature',
  seeds: () => [Buffer.from(encodePcrSignatures({ sha256: [entry, entry], sha512: [entry] }))],
  run(bytes) {
    encodePcrSignatures(parsePcrSignatures(bytes));
  },
});
