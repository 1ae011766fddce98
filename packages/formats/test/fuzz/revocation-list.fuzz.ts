import { derBitString, derInteger, derNull, derOid, derSequence, derTime } from '@osguard/formats/der';
import { encodeCommonName, isListOf, parseRevocationList, signatureOids } from '@osguard/formats/x509';
import { defineFuzz } from '@osguard/testkit';
import type { FuzzTarget } from '@osguard/testkit';
import { makeSigner } from '../test-signer.ts';

const { certificate } = makeSigner('fuzz', 'ec');
const algorithm = derSequence(derOid(signatureOids.ec.sha256));
const time = derTime(Date.parse('2026-11-22T10:00:00Z'));
const entries = derSequence(derSequence(derInteger(Uint8Array.of(1, 2)), time));
const tbs = derSequence(derInteger(1), algorithm, encodeCommonName('fuzz'), time, time, entries);

export const target: FuzzTarget = defineFuzz({
  name: 'revocation-list',
  seeds: () => [derSequence(tbs, algorithm, derBitString(new Uint8Array(64))), derNull()],
  run(bytes) {
    return isListOf(parseRevocationList(bytes), certificate);
  },
});
