/**
 * The chain of decisions checked again from its beginning: every hash, every link, every number. It answers whether what
 * is there was changed since; that nothing was cut off at the end is seen only against a head somebody kept.
 */

import { FormatError } from '@osguard/formats/bytes';
import { parseCanonicalJson } from '@osguard/formats/json';
import { createHash } from 'node:crypto';

export interface ChainEntry {
  readonly seq: number;
  readonly hash: string;
  readonly body: string;
}

export interface ChainPlace {
  readonly seq: number;
  readonly hash: string;
}

export interface AuditCheck {
  readonly id: 'chain' | 'order' | 'head' | 'known-head';
  readonly ok: boolean;
  readonly message: string;
  readonly expected?: string;
  readonly found?: string;
  readonly where?: string;
}

export interface AuditReport {
  readonly ok: boolean;
  readonly checks: readonly AuditCheck[];
  /** The last decision that was read. */
  readonly head: ChainPlace;
  /** Decisions by kind. */
  readonly kinds: Readonly<Record<string, number>>;
  /** Decisions whose time lies before that of the one before: the clock was set back. */
  readonly clockSteps: number;
}

export interface VerifyChainOptions {
  /** What the database calls the end. */
  readonly head: ChainPlace;
  /** A place somebody noted earlier. */
  readonly known?: ChainPlace | undefined;
}

/** What the first decision names as the one before. */
const genesis = '0'.repeat(64);

interface Fields {
  readonly seq: unknown;
  readonly previous: unknown;
  readonly at: unknown;
  readonly kind: unknown;
}

/** Reads to the end, or to the first broken link. */
export async function verifyChain(
  entries: AsyncIterable<ChainEntry>,
  { head, known }: VerifyChainOptions,
): Promise<AuditReport> {
  const kinds: Record<string, number> = {};
  const seen: AuditCheck[] = [];
  let at: ChainPlace = { seq: 0, hash: genesis };
  let time = 0;
  let clockSteps = 0;
  let broken: AuditCheck | undefined;
  for await (const entry of entries) {
    broken = linkProblem(entry, at);
    if (broken !== undefined) break;
    const fields = fieldsOf(entry.body);
    const kind = String(fields.kind);
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    const when = Number(fields.at);
    if (when < time) clockSteps += 1;
    time = when;
    at = { seq: entry.seq, hash: entry.hash };
    if (known?.seq === entry.seq) seen.push(knownCheck(known, entry.hash));
  }
  const whole = {
    id: 'chain',
    ok: true,
    message: `${at.seq} decisions, each following the one before`,
  } as const;
  const checks: AuditCheck[] = [broken ?? whole];
  if (broken === undefined) checks.push(headCheck(head, at));
  if (known !== undefined) checks.push(seen[0] ?? knownCheck(known, undefined));
  return { ok: checks.every(({ ok }) => ok), checks, head: at, kinds, clockSteps };
}

function linkProblem({ seq, hash, body }: ChainEntry, before: ChainPlace): AuditCheck | undefined {
  const where = `decision ${seq}`;
  if (seq !== before.seq + 1) {
    const message = 'decisions are missing, or stand in the wrong order';
    return { id: 'order', ok: false, message, expected: String(before.seq + 1), found: String(seq), where };
  }
  const digest = createHash('sha256').update(body, 'utf8').digest('hex');
  if (digest !== hash) {
    return {
      id: 'chain',
      ok: false,
      message: 'a decision was changed',
      expected: hash,
      found: digest,
      where,
    };
  }
  let fields: Fields;
  try {
    fields = fieldsOf(body);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { id: 'chain', ok: false, message: `no decision: ${error.message}`, where };
  }
  if (fields.seq !== seq || fields.previous !== before.hash) {
    const message = 'a decision does not follow the one before';
    const found = `${String(fields.seq)} after ${String(fields.previous)}`;
    return { id: 'chain', ok: false, message, expected: `${seq} after ${before.hash}`, found, where };
  }
  return undefined;
}

function headCheck(head: ChainPlace, at: ChainPlace): AuditCheck {
  // Others may have written on while the chain was read.
  const ok = at.seq > head.seq || (at.seq === head.seq && at.hash === head.hash);
  const message = ok ? 'the chain reaches its head' : 'the end of the chain is missing';
  return { id: 'head', ok, message, expected: placeText(head), found: placeText(at) };
}

function knownCheck(known: ChainPlace, found: string | undefined): AuditCheck {
  const ok = found === known.hash;
  const message = ok
    ? 'the decision noted earlier is still there'
    : 'the decision noted earlier is not there any more';
  return { id: 'known-head', ok, message, expected: placeText(known), found: found ?? 'nothing' };
}

function fieldsOf(body: string): Fields {
  const value = parseCanonicalJson(Buffer.from(body, 'utf8'), 'decision');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FormatError('malformed', 'decision: not an object');
  }
  const { seq, previous, at, kind } = value as Partial<Fields>;
  return { seq, previous, at, kind };
}

/** As `osguard attest audit` prints it, and takes it again. */
export function placeText({ seq, hash }: ChainPlace): string {
  return `${seq}:${hash}`;
}

/** Undefined when `text` is no place. */
export function parsePlace(text: string): ChainPlace | undefined {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  return seq === undefined || hash === undefined ? undefined : { seq: Number(seq), hash };
}
