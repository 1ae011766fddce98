import { judgeEnrolment } from '@osguard/attest';
import { defineFuzz } from '@osguard/testkit';
import type { FuzzTarget } from '@osguard/testkit';
import { goodEnrolment, settleEnrolment } from '../../negative/enrolment.ts';

const { claim, context } = settleEnrolment(goodEnrolment());
const [leaf = new Uint8Array(), middle = new Uint8Array()] = claim.ekCertificates;

/** Keys and certificates of a stranger, each by the first byte: an answer for whatever comes. */
const parts = [
  (bytes: Uint8Array) => ({ ek: bytes }),
  (bytes: Uint8Array) => ({ ak: bytes }),
  (bytes: Uint8Array) => ({ ekCertificates: [bytes, middle] }),
  (bytes: Uint8Array) => ({ ekCertificates: [leaf, bytes] }),
] as const;

export const target: FuzzTarget = defineFuzz({
  name: 'enrolment',
  seeds: () =>
    [claim.ek, claim.ak, leaf, middle].map((part, index) => Buffer.concat([Uint8Array.of(index), part])),
  run: (bytes) => {
    const part = parts[(bytes[0] ?? 0) % parts.length];
    judgeEnrolment({ ...claim, ...part?.(bytes.subarray(1)) }, context);
  },
});
