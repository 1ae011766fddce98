/** Lies inside what the TPM signed, or beside it. */

import { quotedPcrs } from '../model/baseline.ts';
import { sha256 } from '../model/log.ts';
import { inEvidence } from './helpers.ts';
import { clockSlip } from '../../src/verify/tpm-clock.ts';
import type { Lie } from './helpers.ts';

const setBytes =
  (at: number, bytes: readonly number[]) =>
  (quote: Uint8Array): Uint8Array =>
    quote.map((byte, index) => bytes[index - at] ?? byte);

export const quoteLies: readonly Lie[] = [
  {
    name: 'quote-wrong-magic',
    lie: 'a signed structure that did not come from inside a TPM',
    check: 'quote-magic',
    unreadable: true,
    change: (plan) => ({ ...plan, quote: setBytes(0, [0, 0, 0, 0]) }),
  },
  {
    name: 'quote-wrong-type',
    lie: 'a certification of a key passed off as a quote',
    check: 'quote-type',
    unreadable: true,
    change: (plan) => ({ ...plan, quote: setBytes(4, [0x80, 0x17]) }),
  },
  {
    name: 'quote-trailing-byte',
    lie: 'a signed quote with a byte behind it',
    check: 'quote-format',
    unreadable: true,
    change: (plan) => ({ ...plan, quote: (bytes) => Buffer.concat([bytes, Uint8Array.of(0)]) }),
  },
  {
    name: 'quote-truncated',
    lie: 'a signed quote that ends early',
    check: 'quote-format',
    unreadable: true,
    change: (plan) => ({ ...plan, quote: (bytes) => bytes.slice(0, -8) }),
  },
  {
    name: 'nonce-in-plain',
    lie: 'the nonce itself in the place of the digest over nonce and TLS key',
    check: 'quote-extra-data',
    change: (plan) => ({ ...plan, extraData: () => plan.nonce }),
  },
  {
    name: 'nonce-in-the-digest-place',
    lie: 'nothing in extraData; the nonce is only in the message',
    check: 'quote-extra-data',
    change: (plan) => ({ ...plan, extraData: () => new Uint8Array() }),
  },
  {
    name: 'quote-for-another-nonce',
    lie: 'an old quote in a new message',
    check: 'quote-extra-data',
    change: (plan) => ({ ...plan, extraData: () => sha256('for another nonce') }),
  },
  {
    name: 'quote-for-another-tls-key',
    lie: 'a man in the middle puts his own TLS key into the message',
    check: 'quote-extra-data',
    change: (plan) => ({ ...plan, extraData: (expected) => sha256(expected) }),
  },
  {
    name: 'quote-other-bank',
    lie: 'a second bank in the selection',
    check: 'quote-bank',
    change: (plan) => ({ ...plan, selections: [...plan.selections, { bank: 'sha384', pcrs: [] }] }),
  },
  {
    name: 'quote-only-other-bank',
    lie: 'a quote over the bank SHA-384, with values of SHA-256',
    check: 'quote-bank',
    unreadable: true,
    change: (plan) => ({ ...plan, selections: [{ bank: 'sha384', pcrs: quotedPcrs }] }),
  },
  {
    name: 'quote-bank-twice',
    lie: 'the same bank twice in the selection',
    check: 'quote-bank',
    change: (plan) => ({ ...plan, selections: [...plan.selections, { bank: 'sha256', pcrs: [] }] }),
  },
  {
    name: 'quote-empty-selection',
    lie: 'a quote over no PCR at all',
    check: 'quote-selection',
    unreadable: true,
    change: (plan) => ({ ...plan, selections: [] }),
  },
  {
    name: 'quote-other-pcrs',
    lie: 'a quote over PCRs that say nothing',
    check: 'quote-selection',
    unreadable: true,
    change: (plan) => ({ ...plan, selections: [{ bank: 'sha256', pcrs: [16, 23] }] }),
  },
  {
    name: 'quote-lacks-a-pcr',
    lie: 'a quote that leaves out one PCR the policy asks for',
    check: 'quote-selection',
    change: (plan) => ({
      ...plan,
      policy: (policy) => ({ ...policy, quote: { ...policy.quote, pcrs: [...policy.quote.pcrs, 16] } }),
    }),
  },
  {
    name: 'pcr-value-outside-selection',
    lie: 'a value for a PCR that was not signed',
    check: 'pcr-values',
    change: inEvidence(({ pcrs }) => ({ pcrs: new Map([...pcrs, [16, '00'.repeat(32)]]) })),
  },
  {
    name: 'pcr-value-missing',
    lie: 'a signed PCR whose value is kept back',
    check: 'pcr-values',
    unreadable: true,
    change: inEvidence(({ pcrs }) => ({ pcrs: new Map([...pcrs].filter(([pcr]) => pcr !== 4)) })),
  },
  {
    name: 'pcr-values-are-not-signed-ones',
    lie: 'good PCR values beside a quote over others',
    check: 'pcr-digest',
    change: (plan) => ({
      ...plan,
      quote: (bytes) => bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)),
    }),
  },
  {
    name: 'clock-went-back',
    lie: 'a quote older than the last one of this boot',
    check: 'quote-clock',
    change: (plan) => ({ ...plan, clockInfo: { ...plan.clockInfo, clock: 1n } }),
  },
  {
    name: 'reset-count-went-back',
    lie: 'the TPM put back to an earlier state',
    check: 'quote-clock',
    change: (plan) => ({ ...plan, clockInfo: { ...plan.clockInfo, resetCount: 0xffff_fff0 } }),
  },
  {
    name: 'clock-went-back-across-resets',
    lie: 'the TPM put back to an earlier state, and reset more often since than it had been',
    check: 'quote-clock',
    change: (plan) => ({
      ...plan,
      clockInfo: { ...plan.clockInfo, resetCount: 1 },
      node: {
        last: {
          clock: 7_200_000n + clockSlip + 1n,
          resetCount: 0xffff_fffe,
          restartCount: 0,
          version: '1.0',
        },
      },
    }),
  },
  {
    name: 'restart-count-went-back',
    lie: 'a restart that was undone',
    check: 'quote-clock',
    change: (plan) => ({
      ...plan,
      clockInfo: { ...plan.clockInfo, restartCount: 0 },
      node: { last: { clock: 3_600_000n, resetCount: 0xffff_fffe, restartCount: 2, version: '1.0' } },
    }),
  },
];
