/** What the PCRs of a bank must hold when the log is the truth: TPM 2.0 Part 1 section 17.2, Firmware Profile 10.4.5.3. */

import { hash } from 'node:crypto';
import { FormatError, fromHex } from '../bytes/index.ts';
import type { BankFacts, PcrBank } from './algorithms.ts';
import { bankFacts } from './algorithms.ts';
import { startupLocality } from './no-action.ts';
import type { EventLog, LogEvent } from './parse.ts';
import { eventTypes } from './types.ts';

/** PCRs 17 to 22 belong to the dynamic launch and start with all bits set (PC Client Platform TPM Profile section 4.6.2). */
const dynamic = { first: 17, last: 22 } as const;
export const pcrCount = 24;

export interface ExtendedPcrsOptions {
  /** What TPM2_Startup leaves in the last byte of PCR 0. */
  readonly locality?: number;
  /** Values from which PCRs go on, lower-case hex; those not named are as after a reset. */
  readonly start?: ReadonlyMap<number, string>;
}

/**
 * The PCRs of one bank while logs extend them. Values are kept as text of one character a byte, and one buffer serves all,
 * because that is what Node hashes into fastest: a third of the time of byte arrays, measured.
 */
export class ExtendedPcrs {
  readonly #facts: BankFacts;
  readonly #both: Uint8Array;
  readonly #values: (string | undefined)[] = Array.from({ length: pcrCount });
  readonly #options: ExtendedPcrsOptions;

  constructor(bank: PcrBank, options: ExtendedPcrsOptions = {}) {
    this.#facts = bankFacts(bank);
    this.#both = new Uint8Array(2 * this.#facts.size);
    this.#options = options;
  }

  /** @param digest of the size of the bank. */
  extend(pcr: number, digest: Uint8Array): void {
    const { size } = this.#facts;
    const both = this.#both;
    const before = this.#values[pcr] ?? this.#startOf(pcr);
    for (let at = 0; at < size; at += 1) both[at] = before.charCodeAt(at);
    both.set(digest, size);
    this.#values[pcr] = latin1Digest(this.#facts, both);
  }

  /** Of those that were extended, lower-case hex. */
  extended(): Map<number, string> {
    const found = new Map<number, string>();
    for (const [pcr, value] of this.#values.entries()) {
      if (value !== undefined) found.set(pcr, Buffer.from(value, 'latin1').toString('hex'));
    }
    return found;
  }

  /** By index, lower-case hex. */
  all(): readonly string[] {
    const digits = 2 * this.#facts.size;
    const values = this.#values.map((value, pcr) => value ?? this.#startOf(pcr));
    const hex = Buffer.from(values.join(''), 'latin1').toString('hex');
    return values.map((_, pcr) => hex.slice(pcr * digits, (pcr + 1) * digits));
  }

  #startOf(pcr: number): string {
    const { locality = 0, start } = this.#options;
    const given = start?.get(pcr);
    if (given !== undefined) return Buffer.from(fromHex(given, 'PCR value')).toString('latin1');
    if (pcr >= dynamic.first && pcr <= dynamic.last) return '\xff'.repeat(this.#facts.size);
    return `${'\0'.repeat(this.#facts.size - 1)}${String.fromCharCode(pcr === 0 ? locality : 0)}`;
  }
}

/**
 * PCR → value, lower-case hex, of every PCR the log extends. PCR 0 starts at the locality that a StartupLocality
 * event names (4 when the CPU measured the H-CRTM first).
 *
 * @throws FormatError when the log or one event of it has no such bank, or the log has a StartupLocality event where
 *   firmware cannot put one.
 */
export function replay(log: EventLog, bank: PcrBank): Map<number, string> {
  if (!log.banks.includes(bank)) {
    throw new FormatError('unsupported', `event log: no ${bank} digests, only ${log.banks.join(', ')}`);
  }
  const pcrs = new ExtendedPcrs(bank, { locality: findStartLocality(log) });
  for (const event of log.events) {
    if (event.type === eventTypes.EV_NO_ACTION) continue;
    const digest = event.digests[bank];
    if (digest === undefined) {
      throw new FormatError('malformed', `event ${event.index}: no ${bank} digest`, { offset: event.offset });
    }
    pcrs.extend(event.pcr, digest);
  }
  return pcrs.extended();
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
