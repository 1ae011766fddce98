/**
 * One record of systemd's log of what user space extended into PCRs: a TCG Canonical Event Log entry in JSON
 * (CEL 1.0, section 5.3) with `content_type` `systemd`. What systemd says about it is only a comment; the digests count.
 */

import { FormatError, fromHex } from '../bytes/index.ts';
import type { PcrBank } from '../eventlog/index.ts';
import { bankFacts, isDigestOf, isPcrBank } from '../eventlog/index.ts';

export interface UserspaceRecord {
  /** From 0. */
  readonly index: number;
  /** Of the record in the log. Bytes. */
  readonly offset: number;
  /** 0–23. */
  readonly pcr: number;
  readonly digests: Readonly<Partial<Record<PcrBank, Uint8Array>>>;
  /** systemd's word: `phase`, `machine-id`, `product-id`, `filesystem`, `volume-key`… */
  readonly eventType?: string;
  /** What was measured, in words: of a phase its name. */
  readonly text?: string;
  /** 32 hex digits. */
  readonly bootId?: string;
}

/** Bytes of the words and digests a record may have. */
const most = { algorithm: 32, digest: 256, banks: 16, contentType: 64, eventType: 64, text: 4096 } as const;

interface RawDigest {
  readonly hashAlg: string;
  readonly digest: string;
}

interface RawRecord {
  readonly pcr: number;
  readonly digests: readonly RawDigest[];
  readonly eventType: string | undefined;
  readonly text: string | undefined;
  readonly bootId: string | undefined;
}

/** By hand: a schema library takes ten times as long, and there is one such record in every verdict's way. */
function readRecord(value: unknown, malformed: (why: string) => FormatError): RawRecord {
  const { pcr, digests, content_type: contentType, content } = asObject(value, 'it', malformed);
  if (typeof pcr !== 'number' || !Number.isInteger(pcr) || pcr < 0 || pcr > 23) {
    throw malformed('pcr: is no PCR');
  }
  if (!Array.isArray(digests) || digests.length === 0 || digests.length > most.banks) {
    throw malformed(`digests: from 1 to ${most.banks}`);
  }
  optionalText(contentType, 'content_type', { longest: most.contentType, malformed });
  const listed = digests.map((each: unknown, index): RawDigest => {
    const { hashAlg, digest } = asObject(each, `digests.${index}`, malformed);
    const named = optionalText(hashAlg, `digests.${index}.hashAlg`, { longest: most.algorithm, malformed });
    const hex = optionalText(digest, `digests.${index}.digest`, { longest: most.digest, malformed });
    if (named === undefined || hex === undefined || hex.length % 2 !== 0 || !/^[0-9a-f]+$/.test(hex)) {
      throw malformed(`digests.${index}: is no algorithm with lower-case hex`);
    }
    return { hashAlg: named, digest: hex };
  });
  const words = content === undefined ? {} : asObject(content, 'content', malformed);
  const bootId = optionalText(words['bootId'], 'content.bootId', { longest: 32, malformed });
  if (bootId !== undefined && !/^[0-9a-f]{32}$/.test(bootId))
    throw malformed('content.bootId: is no 128-bit ID');
  return {
    pcr,
    digests: listed,
    eventType: optionalText(words['eventType'], 'content.eventType', { longest: most.eventType, malformed }),
    text: optionalText(words['string'], 'content.string', { longest: most.text, malformed }),
    bootId,
  };
}

function asObject(
  value: unknown,
  where: string,
  malformed: (why: string) => FormatError,
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${where}: is no object`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object of JSON
  return value as Record<string, unknown>;
}

function optionalText(
  value: unknown,
  where: string,
  { longest, malformed }: { readonly longest: number; readonly malformed: (why: string) => FormatError },
): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw malformed(`${where}: is no text`);
  if (value.length > longest)
    throw malformed(`${where}: ${value.length} characters, ${longest} are accepted`);
  return value;
}

export interface RecordContext {
  readonly index: number;
  readonly offset: number;
  /** Digests of this bank only. */
  readonly only?: PcrBank | undefined;
}

/** @throws FormatError with the record's offset */
export function parseRecord(text: string, { index, offset, only }: RecordContext): UserspaceRecord {
  const malformed = (why: string, cause?: unknown): FormatError =>
    new FormatError('malformed', `userspace log, record ${index}: ${why}`, { offset, cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed('no JSON', cause);
  }
  const { pcr, digests: listed, eventType, text: words, bootId } = readRecord(value, malformed);
  const digests: Partial<Record<PcrBank, Uint8Array>> = {};
  const seen = new Set<PcrBank>();
  for (const { hashAlg, digest } of listed) {
    const bank = hashAlg.toLowerCase();
    if (!isPcrBank(bank)) continue;
    if (seen.has(bank)) throw malformed(`two ${bank} digests`);
    seen.add(bank);
    if (digest.length !== 2 * bankFacts(bank).size)
      throw malformed(`a ${bank} digest of ${digest.length / 2} bytes`);
    if (only === undefined || bank === only) digests[bank] = fromHex(digest);
  }
  return {
    index,
    offset,
    pcr,
    digests,
    ...(eventType !== undefined && { eventType }),
    ...(words !== undefined && { text: words }),
    ...(bootId !== undefined && { bootId }),
  };
}

/** Events whose digest covers the words in the log; a volume key's covers a secret. */
const overText: ReadonlySet<string> = new Set(['phase', 'machine-id', 'product-id', 'filesystem']);

/** Whether a record's digest is what its words say; `unrelated` when the digest covers something else. */
export function checkRecordDigest(
  record: UserspaceRecord,
  bank: PcrBank,
): 'matches' | 'differs' | 'unrelated' {
  const { eventType, text } = record;
  const digest = record.digests[bank];
  if (digest === undefined || eventType === undefined || text === undefined) return 'unrelated';
  if (!overText.has(eventType)) return 'unrelated';
  return isDigestOf(Buffer.from(text, 'utf8'), { bank, digest }) ? 'matches' : 'differs';
}
