/** What the PCRs of a bank must hold when the log is the truth: TPM 2.0 Part 1 section 17.2, Firmware Profile 10.4.5.3. */

import { hash } from 'node:crypto';
import { FormatError } from '../bytes/index.ts';
import type { BankFacts, PcrBank } from './algorithms.ts';
import { bankFacts } from './algorithms.ts';
import { startupLocality } from './no-action.ts';
import type { EventLog, LogEvent } from './parse.ts';
import { eventTypes } from './types.ts';

/**
 * PCR → value, lower-case hex, of every PCR the log extends. PCR 0 starts at the locality that a StartupLocality
 * event names (4 when the CPU measured the H-CRTM first), every other PCR at zeros.
 *
 * @throws FormatError when the log or one event of it has no such bank, or the log has a StartupLocality event where
 *   firmware cannot put one.
 */
export function replay(log: EventLog, bank: PcrBank): Map<number, string> {
  if (!log.banks.includes(bank)) {
    throw new FormatError('unsupported', `event log: no ${bank} digests, only ${log.banks.join(', ')}`);
  }
  const facts = bankFacts(bank);
  const locality = findStartLocality(log);
  // Values as latin1 strings and one buffer for all: a third of the time of a buffer for each event.
  const both = Buffer.alloc(2 * facts.size);
  const values = new Map<number, string>();
  for (const event of log.events) {
    if (event.type === eventTypes.EV_NO_ACTION) continue;
    const digest = event.digests[bank];
    if (digest === undefined) {
      throw new FormatError('malformed', `event ${event.index}: no ${bank} digest`, { offset: event.offset });
    }
    const before = values.get(event.pcr);
    if (before === undefined) both.set(startValue(facts.size, event.pcr === 0 ? locality : 0));
    else both.write(before, 0, facts.size, 'latin1');
    both.set(digest, facts.size);
    values.set(event.pcr, latin1Digest(facts, both));
  }
  return new Map([...values].map(([pcr, value]) => [pcr, Buffer.from(value, 'latin1').toString('hex')]));
}

/** H(value ‖ digest). Both have the size of the bank. */
export function extendPcr(bank: PcrBank, value: Uint8Array, digest: Uint8Array): Uint8Array {
  const both = new Uint8Array(value.length + digest.length);
  both.set(value);
  both.set(digest, value.length);
  return digestOf(bankFacts(bank), both);
}

/** What a PCR holds after TPM2_Startup from `locality`: zeros, with the locality in the last byte. */
export function startValue(size: number, locality = 0): Uint8Array {
  const value = new Uint8Array(size);
  value[size - 1] = locality;
  return value;
}

/** The digest of `bytes` in a bank. @throws FormatError (`unsupported`) when this OpenSSL lacks the algorithm. */
export function digestOf(facts: BankFacts, bytes: Uint8Array): Uint8Array {
  try {
    return hash(facts.hash, bytes, 'buffer');
  } catch (cause) {
    throw new FormatError('unsupported', `no ${facts.hash} in this runtime`, { cause });
  }
}

/** As {@link digestOf}, one character a byte: much faster than a buffer for digests that are only compared. */
export function latin1Digest(facts: BankFacts, bytes: Uint8Array): string {
  try {
    return hash(facts.hash, bytes, 'binary');
  } catch (cause) {
    throw new FormatError('unsupported', `no ${facts.hash} in this runtime`, { cause });
  }
}

/** Whether `digest` is that of `bytes`. Character by character: making a text of the digest first takes three times as long. */
export function isDigestOf(
  bytes: Uint8Array,
  { bank, digest }: { readonly bank: PcrBank; readonly digest: Uint8Array },
): boolean {
  const text = latin1Digest(bankFacts(bank), bytes);
  if (text.length !== digest.length) return false;
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) !== digest[at]) return false;
  return true;
}

/** The same for one H-CRTM or many: Startup found the sequence of H-CRTM measurements at locality 4. */
function findStartLocality(log: EventLog): number {
  let locality: number | undefined;
  let extended: LogEvent | undefined;
  let hcrtm = false;
  for (const event of log.events) {
    const named = startupLocality(event);
    if (named !== undefined) {
      const malformed = (why: string): FormatError =>
        new FormatError('malformed', `event ${event.index}: StartupLocality ${why}`, {
          offset: event.offset,
        });
      if (locality !== undefined) throw malformed('a second time');
      if (extended !== undefined) throw malformed(`after event ${extended.index} extended PCR 0`);
      if (named !== 0 && named !== 3 && named !== 4) throw malformed(`${named}, neither 0, 3 nor 4`);
      locality = named;
    } else if (event.pcr === 0 && event.type !== eventTypes.EV_NO_ACTION) {
      if (extended === undefined && event.type === eventTypes.EV_EFI_HCRTM_EVENT) hcrtm = true;
      extended ??= event;
    }
  }
  return locality ?? (hcrtm ? 4 : 0);
}
