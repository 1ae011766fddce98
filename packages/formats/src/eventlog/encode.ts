/** Event logs written: for tests, for evidence made on purpose, and as the other half of the parser. */

import { ByteWriter, FormatError } from '../bytes/index.ts';
import type { PcrBank } from './algorithms.ts';
import { bankFacts } from './algorithms.ts';
import type { LogEvent } from './parse.ts';
import { digestOf } from './replay.ts';
import { eventTypes } from './types.ts';

/** What of an event is written; a LogEvent is one. */
export type EncodableEvent = Pick<LogEvent, 'pcr' | 'type' | 'digests' | 'data'>;

export interface EncodableLog {
  readonly format: 'crypto-agile' | 'legacy';
  readonly banks: readonly PcrBank[];
  /** A crypto-agile log starts with its Spec ID event: see specIdEvent. */
  readonly events: readonly EncodableEvent[];
}

/** The bytes of the log; parse∘encode is the identity. @throws FormatError (`not-encodable`) */
export function encodeEventLog({ format, banks, events }: EncodableLog): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter({ capacity: 4096 });
  for (const [index, event] of events.entries()) {
    writer.u32(event.pcr).u32(event.type);
    if (format === 'legacy' || index === 0) {
      writer.bytes(digest(event, 'sha1') ?? missing(index, 'sha1'));
    } else {
      const present = banks.filter((bank) => event.digests[bank] !== undefined);
      if (present.length === 0) missing(index, banks.join(' or '));
      writer.u32(present.length);
      for (const bank of present) {
        writer.u16(bankFacts(bank).id).bytes(digest(event, bank) ?? missing(index, bank));
      }
    }
    writer.u32(event.data.length).bytes(event.data);
  }
  return writer.finish();
}

/** The first event of a crypto-agile log: which banks every later event has. */
export function specIdEvent(banks: readonly PcrBank[]): EncodableEvent {
  const writer = new ByteWriter();
  writer.bytes(Buffer.from('Spec ID Event03\0', 'latin1')).u32(0).u8(0).u8(2).u8(0).u8(2).u32(banks.length);
  for (const bank of banks) {
    const { id, size } = bankFacts(bank);
    writer.u16(id).u16(size);
  }
  writer.u8(0);
  return {
    pcr: 0,
    type: eventTypes.EV_NO_ACTION,
    digests: { sha1: new Uint8Array(20) },
    data: writer.finish(),
  };
}

export interface MeasuredEvent {
  readonly pcr: number;
  readonly type: number;
  readonly data: Uint8Array;
  /** What the digests cover; the data unless told otherwise. */
  readonly measured?: Uint8Array;
}

/** An event with its digests; EV_NO_ACTION has zeros. */
export function measuredEvent(event: MeasuredEvent, banks: readonly PcrBank[]): EncodableEvent {
  const { pcr, type, data, measured = data } = event;
  const digests: Partial<Record<PcrBank, Uint8Array>> = {};
  for (const bank of banks) {
    const facts = bankFacts(bank);
    digests[bank] = type === eventTypes.EV_NO_ACTION ? new Uint8Array(facts.size) : digestOf(facts, measured);
  }
  return { pcr, type, digests, data };
}

function digest(event: EncodableEvent, bank: PcrBank): Uint8Array | undefined {
  const bytes = event.digests[bank];
  if (bytes !== undefined && bytes.length !== bankFacts(bank).size) {
    throw new FormatError('not-encodable', `event log: a ${bank} digest of ${bytes.length} bytes`);
  }
  return bytes;
}

function missing(index: number, what: string): never {
  throw new FormatError('not-encodable', `event log: event ${index} has no ${what} digest`);
}
