/**
 * One record of systemd's log of what user space extended into PCRs: a TCG Canonical Event Log entry in JSON
 * (CEL 1.0, section 5.3) with `content_type` `systemd`. What systemd says about it is only a comment; the digests count.
 */

import { z } from 'zod';
import { equalBytes, FormatError, fromHex } from '../bytes/index.ts';
import type { PcrBank } from '../eventlog/index.ts';
import { bankFacts, digestOf, isPcrBank } from '../eventlog/index.ts';

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

const schema = z.object({
  pcr: z.int().min(0).max(23),
  digests: z
    .array(
      z.object({
        hashAlg: z.string().max(32),
        digest: z
          .string()
          .max(256)
          .regex(/^(?:[0-9a-f]{2})+$/, 'is no lower-case hex'),
      }),
    )
    .min(1)
    .max(16),
  content_type: z.string().max(64).optional(),
  content: z
    .object({
      eventType: z.string().max(64).optional(),
      string: z.string().max(4096).optional(),
      bootId: z
        .string()
        .regex(/^[0-9a-f]{32}$/, 'is no 128-bit ID')
        .optional(),
    })
    .optional(),
});

/** @throws FormatError with the record's offset */
export function parseRecord(
  text: string,
  { index, offset }: { readonly index: number; readonly offset: number },
): UserspaceRecord {
  const malformed = (why: string, cause?: unknown): FormatError =>
    new FormatError('malformed', `userspace log, record ${index}: ${why}`, { offset, cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed('no JSON', cause);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw malformed(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a record'}`);
  }
  const { pcr, digests: listed, content } = parsed.data;
  const digests: Partial<Record<PcrBank, Uint8Array>> = {};
  for (const { hashAlg, digest } of listed) {
    const bank = hashAlg.toLowerCase();
    if (!isPcrBank(bank)) continue;
    if (digests[bank] !== undefined) throw malformed(`two ${bank} digests`);
    const bytes = fromHex(digest);
    if (bytes.length !== bankFacts(bank).size) throw malformed(`a ${bank} digest of ${bytes.length} bytes`);
    digests[bank] = bytes;
  }
  return {
    index,
    offset,
    pcr,
    digests,
    ...(content?.eventType !== undefined && { eventType: content.eventType }),
    ...(content?.string !== undefined && { text: content.string }),
    ...(content?.bootId !== undefined && { bootId: content.bootId }),
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
  return equalBytes(digestOf(bankFacts(bank), Buffer.from(text, 'utf8')), digest) ? 'matches' : 'differs';
}
