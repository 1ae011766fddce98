/** What the PCRs of a bank must hold when the log is the truth: TPM 2.0 Part 1 section 17.2, Firmware Profile 10.4.5.3. */

import { hash } from 'node:crypto';
import { FormatError, toHex } from '../bytes/index.ts';
import type { BankFacts, PcrBank } from './algorithms.ts';
import { bankFacts } from './algorithms.ts';
import { startupLocality } from './no-action.ts';
import type { EventLog, LogEvent } from './parse.ts';
import { eventTypes } from './types.ts';

/**
 * PCR → value, lower-case hex, of every PCR the log extends. PCR 0 starts at the locality that a StartupLocality
 * event names (4 when the CPU measured the H-CRTM first), every other PCR at zeros.
 *
 * @throws FormatError when the log or one event of it has no such bank, or the log has a StartupLocality event where firmware cannot put one.
 */
export function replay(log: EventLog, bank: PcrBank): Map<number, string> {
  const values = replayBytes(log, bank);
  return new Map([...values].map(([pcr, value]) => [pcr, toHex(value)]));
}

/** As {@link replay}, without the conversion to text. */
export function replayBytes(log: EventLog, bank: PcrBank): Map<number, Uint8Array> {
  if (!log.banks.includes(bank)) {
    throw new FormatError('unsupported', `event log: no ${bank} digests, only ${log.banks.join(', ')}`);
  }
  const facts = bankFacts(bank);
  const locality = findStartLocality(log);
  const values = new Map<number, Uint8Array>();
  for (const event of log.events) {
    const digest = event.digests[bank];
    if (event.type === eventTypes.EV_NO_ACTION) continue;
    if (digest === undefined) {
      throw new FormatError('malformed', `event ${event.index}: no ${bank} digest`, { offset: event.offset });
    }
    const before = values.get(event.pcr) ?? startValue(facts.size, event.pcr === 0 ? locality : 0);
    values.set(event.pcr, extendWith(facts, before, digest));
  }
  return values;
}

/** H(value ‖ digest). Both have the size of the bank. */
export function extendPcr(bank: PcrBank, value: Uint8Array, digest: Uint8Array): Uint8Array {
  return extendWith(bankFacts(bank), value, digest);
}

/** What a PCR holds after TPM2_Startup from `locality`: zeros, with the locality in the last byte. */
export function startValue(size: number, locality = 0): Uint8Array {
  const value = new Uint8Array(size);
  value[size - 1] = locality;
  return value;
}

function extendWith(facts: BankFacts, value: Uint8Array, digest: Uint8Array): Uint8Array {
  const both = new Uint8Array(value.length + digest.length);
  both.set(value);
  both.set(digest, value.length);
  return digestOf(facts, both);
}

/** The digest of `bytes` in a bank. @throws FormatError (`unsupported`) when this OpenSSL lacks the algorithm. */
export function digestOf(facts: BankFacts, bytes: Uint8Array): Uint8Array {
  try {
    return hash(facts.hash, bytes, 'buffer');
  } catch (cause) {
    throw new FormatError('unsupported', `no ${facts.hash} in this runtime`, { cause });
  }
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
