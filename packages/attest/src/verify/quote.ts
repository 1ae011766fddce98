/** What the TPM signed: TPMS_ATTEST of type quote (TPM 2.0 Library Part 2 sections 10.12.4 and 10.12.12). */

import { hash } from 'node:crypto';
import { equalBytes, toHex } from '@osguard/formats/bytes';
import { tpmGenerated } from '@osguard/formats/tpm2';
import { evidenceQualifyingData } from '../protocol/index.ts';
import { signerCheck } from './attestation-key.ts';
import type { CheckDefinition } from './check.ts';
import { Refused } from './check.ts';
import { wentBack } from './tpm-clock.ts';

/** Bytes of a value of the bank SHA-256. */
const pcrSize = 32;
/** TPM_ST_ATTEST_QUOTE. */
const quoteTag = 0x8018;

/** What makes the quote a statement of this node about now. */
export const quoteOriginChecks: readonly CheckDefinition[] = [
  {
    id: 'quote-magic',
    claim: 'a TPM made the quote',
    run({ evidence }) {
      const magic = toHex(evidence.quote.subarray(0, 4));
      const expected = tpmGenerated.toString(16);
      if (magic === expected) return;
      throw new Refused('what was signed does not start with TPM_GENERATED: it comes from outside the TPM', {
        expected,
        found: magic,
        where: 'quote, byte 0',
      });
    },
  },
  {
    id: 'quote-type',
    claim: 'the TPM signed a quote',
    run({ evidence }) {
      const type = toHex(evidence.quote.subarray(4, 6));
      if (type === quoteTag.toString(16)) return;
      throw new Refused('the TPM signed another kind of statement than a quote', {
        expected: quoteTag.toString(16),
        found: type,
        where: 'quote, byte 4',
      });
    },
  },
  {
    id: 'quote-format',
    claim: 'the quote is one TPMS_ATTEST and nothing else',
    run({ quote }) {
      if (quote.type !== 'quote') throw new Refused('no quote');
    },
  },
  signerCheck,
  {
    id: 'quote-extra-data',
    claim: 'the quote was made for this nonce and this TLS key',
    run({ quote, evidence }) {
      const expected = evidenceQualifyingData(evidence);
      if (equalBytes(expected, quote.extraData)) return;
      throw new Refused('the quote was made for another nonce or another TLS key', {
        expected: toHex(expected),
        found: toHex(quote.extraData),
        where: 'quote, extraData',
      });
    },
  },
];

/** Which PCRs it is about, and what they held. */
export const quotedPcrChecks: readonly CheckDefinition[] = [
  {
    id: 'quote-bank',
    claim: 'the quote is over the bank SHA-256',
    run({ quote }) {
      const banks = quote.pcrSelections.map(({ bank }) => bank);
      const other = banks.filter((bank) => bank !== 'sha256');
      if (other.length === 0 && banks.length <= 1) return;
      throw new Refused(
        other.length > 0 ? 'the quote is over another bank' : 'the quote names a bank twice',
        {
          expected: 'sha256',
          found: banks.join(', '),
          where: 'quote, pcrSelect',
        },
      );
    },
  },
  {
    id: 'quote-selection',
    claim: 'the quote covers every PCR the policy asks for',
    run({ selected, context }) {
      const { pcrs } = context.policy.quote;
      const missing = pcrs.filter((pcr) => !selected.includes(pcr));
      if (missing.length === 0 && pcrs.length > 0) return;
      throw new Refused(
        selected.length === 0
          ? 'the quote covers no PCR'
          : `the quote does not cover PCR ${missing.join(', ')}`,
        { expected: pcrs.join(', '), found: selected.join(', ') || 'none', where: 'quote, pcrSelect' },
      );
    },
  },
  {
    id: 'pcr-values',
    claim: 'a value is given for every quoted PCR and no other',
    run({ selected, evidence }) {
      const given = [...evidence.pcrs.keys()];
      const unsigned = given.filter((pcr) => !selected.includes(pcr));
      const absent = selected.filter((pcr) => !evidence.pcrs.has(pcr));
      if (unsigned.length === 0 && absent.length === 0) return;
      const message =
        unsigned.length > 0
          ? `the value of PCR ${unsigned.join(', ')} is not covered by the signature`
          : `no value is given for PCR ${absent.join(', ')}`;
      throw new Refused(message, {
        expected: selected.join(', '),
        found: given.join(', '),
        where: 'pcrs.sha256',
      });
    },
  },
  {
    id: 'pcr-digest',
    claim: 'the PCR values are those that were signed',
    run({ quote, signature, evidence, selected }) {
      // Selections of one bank are hashed in ascending order (Part 3 sections 18.4 and 22.4).
      const values = Buffer.from(selected.map((pcr) => evidence.pcrs.get(pcr) ?? '').join(''), 'hex');
      const digest = hash(signature.hash, values, 'buffer');
      if (values.length === selected.length * pcrSize && equalBytes(digest, quote.pcrDigest)) return;
      throw new Refused('the PCR values do not hash to the digest the TPM signed', {
        expected: toHex(quote.pcrDigest),
        found: toHex(digest),
        where: 'quote, pcrDigest',
      });
    },
  },
  {
    id: 'quote-clock',
    claim: "the TPM's clock went forward since it was last seen",
    run({ quote, node }) {
      const { clock, resetCount, restartCount, safe } = quote.clockInfo;
      const { last } = node;
      const how = last === undefined ? undefined : wentBack(last, quote.clockInfo);
      if (last === undefined || how === undefined) return;
      throw new Refused(`the TPM was put back, or the quote is older than one already seen: ${how}`, {
        expected: `after ${last.clock} ms, reset ${last.resetCount}, restart ${last.restartCount}`,
        found: `${clock} ms${safe ? '' : ' (unsafe)'}, reset ${resetCount}, restart ${restartCount}`,
        where: 'quote, clockInfo',
      });
    },
  },
];
