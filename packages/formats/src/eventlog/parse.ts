/**
 * The log of what firmware, boot loader and kernel stub extended into PCRs before the kernel took over: TCG PC
 * Client Platform Firmware Profile 1.06, section 10. Linux shows it as
 * /sys/kernel/security/tpm0/binary_bios_measurements.
 *
 * Two forms: crypto-agile (a TCG_EfiSpecIdEvent first, then TCG_PCR_EVENT2 with one digest for each bank) and
 * legacy (TCG_PCR_EVENT with SHA-1). Everything little-endian.
 */

import { ByteReader, FormatError } from '../bytes/index.ts';
import type { BankFacts, PcrBank } from './algorithms.ts';
import { bankOfId } from './algorithms.ts';
import { hasSpecIdSignature, parseSpecId } from './spec-id.ts';
import type { SpecIdEvent } from './spec-id.ts';
import type { EventTypeName } from './types.ts';
import { eventTypeName, eventTypes } from './types.ts';

export interface EventLog {
  readonly format: 'crypto-agile' | 'legacy';
  /** Banks the log announces, in its order; algorithms this room does not know are left out. */
  readonly banks: readonly PcrBank[];
  /** Absent in a legacy log without one. */
  readonly specId?: SpecIdEvent;
  /** All events in order, the Spec ID event included. */
  readonly events: readonly LogEvent[];
}

export interface LogEvent {
  /** From 0, over the whole log. */
  readonly index: number;
  /** Of the event's first byte in the log. */
  readonly offset: number;
  /** 0–23; 0xffffffff is possible in EV_NO_ACTION only, which extends nothing. */
  readonly pcr: number;
  readonly type: number;
  readonly typeName: EventTypeName | `0x${string}`;
  /** By bank. Views into the log. */
  readonly digests: Readonly<Partial<Record<PcrBank, Uint8Array>>>;
  /** The event data, a view into the log; see parseEventData. */
  readonly data: Uint8Array;
  /** Of the event data in the log. */
  readonly dataOffset: number;
}

/** Bounds: bytes of a whole log, events in it, bytes of one event's data. */
export const eventLogLimits = { size: 4_194_304, events: 8192, data: 1_048_576 } as const;

const highestPcr = 23;
const noPcr = 0xffff_ffff;

interface Algorithm {
  readonly id: number;
  readonly size: number;
  readonly facts: BankFacts | undefined;
  readonly kept: boolean;
}

export interface ParseLogOptions {
  /** Digests of this bank only: of 120 events in four banks, a third of the time and of the garbage. */
  readonly only?: PcrBank;
}

/** @throws FormatError with the byte offset unless `bytes` is one whole log within {@link eventLogLimits}. */
export function parseEventLog(bytes: Uint8Array, { only }: ParseLogOptions = {}): EventLog {
  if (bytes.length > eventLogLimits.size) {
    throw new FormatError('too-large', `event log: ${bytes.length} bytes, more than ${eventLogLimits.size}`);
  }
  const reader = new ByteReader(bytes);
  const first = legacyEvent(reader, 0);
  const specId =
    first.type === eventTypes.EV_NO_ACTION && hasSpecIdSignature(first.data)
      ? parseSpecId(first.data, { base: first.dataOffset, behind: reader })
      : undefined;
  const algorithms = specId?.algorithms.map(({ id, size }) => {
    const facts = bankOfId(id);
    return { id, size, facts, kept: facts !== undefined && (only === undefined || facts.bank === only) };
  });
  const events = [first];
  while (reader.remaining > 0) {
    if (events.length >= eventLogLimits.events) {
      throw new FormatError('too-large', `event log: more than ${eventLogLimits.events} events`, {
        offset: reader.offset,
      });
    }
    events.push(
      algorithms === undefined
        ? legacyEvent(reader, events.length)
        : agileEvent(reader, { index: events.length, algorithms }),
    );
  }
  return {
    format: algorithms === undefined ? 'legacy' : 'crypto-agile',
    banks: algorithms?.flatMap(({ facts }) => (facts === undefined ? [] : [facts.bank])) ?? ['sha1'],
    ...(specId !== undefined && { specId }),
    events,
  };
}

/** TCG_PCR_EVENT, section 10.2.1. */
function legacyEvent(reader: ByteReader, index: number): LogEvent {
  const { offset } = reader;
  const pcr = reader.u32('PCR index');
  const type = reader.u32('event type');
  assertPcr(pcr, type, { index, offset });
  const sha1 = reader.bytes(20, 'SHA-1 digest');
  const size = readDataSize(reader);
  const dataOffset = reader.offset;
  const data = reader.bytes(size, 'event data');
  return { index, offset, pcr, type, typeName: eventTypeName(type), digests: { sha1 }, data, dataOffset };
}

interface AgileContext {
  readonly index: number;
  readonly algorithms: readonly Algorithm[];
}

/** TCG_PCR_EVENT2, section 10.2.2. */
function agileEvent(reader: ByteReader, { index, algorithms }: AgileContext): LogEvent {
  const { offset } = reader;
  const pcr = reader.u32('PCR index');
  const type = reader.u32('event type');
  assertPcr(pcr, type, { index, offset });
  const digests = readDigests(reader, { index, algorithms });
  const size = readDataSize(reader);
  const dataOffset = reader.offset;
  const data = reader.bytes(size, 'event data');
  return { index, offset, pcr, type, typeName: eventTypeName(type), digests, data, dataOffset };
}

/** TPML_DIGEST_VALUES: of algorithms of the Spec ID event, each once. */
function readDigests(reader: ByteReader, { index, algorithms }: AgileContext): LogEvent['digests'] {
  const count = reader.u32('number of digests');
  // Fewer is seen in real logs; replay of a bank that an event lacks is refused there.
  if (count === 0 || count > algorithms.length) {
    throw new FormatError('malformed', `event ${index}: ${count} digests, ${algorithms.length} banks`, {
      offset: reader.offset - 4,
    });
  }
  const digests: Partial<Record<PcrBank, Uint8Array>> = {};
  /** One bit for each algorithm of the Spec ID event, of which there are at most 16. */
  let seen = 0;
  for (let i = 0; i < count; i += 1) {
    const at = reader.offset;
    const id = reader.u16('digest algorithm');
    // In the order of the Spec ID event nearly always; the specification does not demand it.
    const place = algorithms[i]?.id === id ? i : placeOf(id, algorithms);
    const algorithm = algorithms[place];
    if (algorithm === undefined || (seen & (1 << place)) !== 0) {
      const why = algorithm === undefined ? 'is not one of the Spec ID event' : 'is there twice';
      throw new FormatError('malformed', `event ${index}: digest algorithm 0x${id.toString(16)} ${why}`, {
        offset: at,
      });
    }
    seen |= 1 << place;
    if (algorithm.facts === undefined || !algorithm.kept) reader.skip(algorithm.size, 'digest');
    else digests[algorithm.facts.bank] = reader.bytes(algorithm.size, 'digest');
  }
  return digests;
}

/** A function of its own: a closure in the loop would cost an object for each digest. */
function placeOf(id: number, algorithms: readonly Algorithm[]): number {
  return algorithms.findIndex((each) => each.id === id);
}

function assertPcr(
  pcr: number,
  type: number,
  { index, offset }: { readonly index: number; readonly offset: number },
): void {
  if (pcr > highestPcr && !(pcr === noPcr && type === eventTypes.EV_NO_ACTION)) {
    throw new FormatError('malformed', `event ${index}: there is no PCR ${pcr}`, { offset });
  }
}

function readDataSize(reader: ByteReader): number {
  const size = reader.u32('event size');
  if (size > eventLogLimits.data) {
    throw new FormatError('too-large', `event data: ${size} bytes, more than ${eventLogLimits.data}`, {
      offset: reader.offset - 4,
    });
  }
  return size;
}
