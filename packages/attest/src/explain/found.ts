/**
 * What extended a PCR, from either log. Text is shown only when the event's digest proves it: log data whose type leaves
 * it unproved, and what a machine says of itself, could be written by an attacker to mislead whoever reads this.
 */

import { toHex } from '@osguard/formats/bytes';
import { describeAuthority, describeSignatureLists } from '@osguard/formats/efi';
import type { EventLog, LogEvent } from '@osguard/formats/eventlog';
import { bankFacts, describeEvent, digestOf, eventTypes, parseEventData } from '@osguard/formats/eventlog';
import type { ReferenceBank } from '@osguard/formats/reference-values';
import type { UserspaceRecord } from '@osguard/formats/userspace-log';

export interface FoundEvent {
  readonly log: 'firmware' | 'userspace';
  /** In its log, from 0. */
  readonly index: number;
  /** In its log. Bytes. */
  readonly offset: number;
  readonly pcr: number;
  readonly type: string;
  /** Lower-case hex. */
  readonly digest: string;
  /** One line; what the log says, proved or not. */
  readonly says: string;
  /** The measured text, proved by the digest. */
  readonly text?: string;
}

export interface FoundOptions {
  readonly bank: ReferenceBank;
  /** What the machine says its command line is. */
  readonly commandLine?: string | undefined;
}

/** By PCR, in the order of extension: firmware first. Events without a digest of the bank are left out. */
export function foundEvents(
  log: EventLog,
  records: readonly UserspaceRecord[],
  options: FoundOptions,
): ReadonlyMap<number, readonly FoundEvent[]> {
  const claimed = claimedTexts(options);
  const byPcr = new Map<number, FoundEvent[]>();
  const add = (event: FoundEvent): void => {
    const list = byPcr.get(event.pcr);
    if (list === undefined) byPcr.set(event.pcr, [event]);
    else list.push(event);
  };
  for (const event of log.events) {
    if (event.type === eventTypes.EV_NO_ACTION) continue;
    const found = firmwareEvent(event, { bank: options.bank, claimed });
    if (found !== undefined) add(found);
  }
  for (const record of records) {
    const found = userspaceEvent(record, options);
    if (found !== undefined) add(found);
  }
  return byPcr;
}

/** Digest → text: what the machine says it was started with, in each form it is measured in. */
function claimedTexts({ bank, commandLine }: FoundOptions): ReadonlyMap<string, string> {
  if (commandLine === undefined) return new Map();
  const forms = [Buffer.from(commandLine, 'utf8'), Buffer.from(`${commandLine}\0`, 'utf16le')];
  return new Map(forms.map((form) => [toHex(digestOf(bankFacts(bank), form)), commandLine]));
}

function dataText(event: LogEvent): string | undefined {
  try {
    const data = parseEventData(event);
    if (data.kind === 'text') return data.text;
    if (data.kind !== 'variable') return undefined;
    if (event.type === eventTypes.EV_EFI_VARIABLE_AUTHORITY) return describeAuthority(data.value);
    if (data.value.length <= 8 && data.name === 'SecureBoot') return toHex(data.value);
    return ['PK', 'KEK', 'db', 'dbx'].includes(data.name)
      ? describeSignatureLists(data.value).join('\n')
      : undefined;
  } catch {
    return undefined; // Whoever asks for the data itself learns what is wrong with it.
  }
}

interface FirmwareOptions {
  readonly bank: ReferenceBank;
  readonly claimed: ReadonlyMap<string, string>;
}

function firmwareEvent(event: LogEvent, { bank, claimed }: FirmwareOptions): FoundEvent | undefined {
  const bytes = event.digests[bank];
  if (bytes === undefined) return undefined;
  const digest = toHex(bytes);
  const ofData = (): boolean => toHex(digestOf(bankFacts(bank), event.data)) === digest;
  const text = claimed.get(digest) ?? (ofData() ? dataText(event) : undefined);
  return {
    log: 'firmware',
    index: event.index,
    offset: event.offset,
    pcr: event.pcr,
    type: event.typeName,
    digest,
    says: describeEvent(event),
    ...(text !== undefined && { text }),
  };
}

function userspaceEvent(record: UserspaceRecord, { bank }: FoundOptions): FoundEvent | undefined {
  const bytes = record.digests[bank];
  if (bytes === undefined) return undefined;
  const digest = toHex(bytes);
  const { text } = record;
  const proved = text !== undefined && toHex(digestOf(bankFacts(bank), Buffer.from(text, 'utf8'))) === digest;
  return {
    log: 'userspace',
    index: record.index,
    offset: record.offset,
    pcr: record.pcr,
    type: record.eventType ?? 'unknown',
    digest,
    says: JSON.stringify(text ?? ''),
    ...(proved && { text }),
  };
}
