/**
 * Nonces out, evidence in. Evidence that does not prove to come from the node (nonce, channel, quote) gets a reason code
 * and changes nothing but its nonce: else anybody could have a node refused. From there on the node is told everything.
 */

import { randomBytes } from 'node:crypto';
import type { EvidenceAnswer, NonceAnswer, NonceRequest } from '../protocol/index.ts';
import type { CheckId } from '../verify/ids.ts';
import { coordinatesOf } from '../token/keys.ts';
import type { TpmClock } from '../verify/tpm-clock.ts';
import type { NodeRecord } from '../verify/types.ts';
import type { StoredNode, VerdictRecord } from '../store/index.ts';
import type { VerifierContext } from './context.ts';
import type { Judgement } from './judge/judge.ts';
import type { PeerKey } from './peer.ts';
import { addressKey } from './rate-limit.ts';
import { Refused } from './refusal.ts';

/** @throws Refused */
export async function issueNonce(
  { node, purpose }: NonceRequest,
  { address }: { readonly address: string },
  context: VerifierContext,
): Promise<NonceAnswer> {
  const { store, limits } = context;
  limitNode(node, address, context);
  const { quote } = context.policy();
  const now = context.now();
  const nonce = randomBytes(32).toString('base64');
  const expires = now + quote.maximumAge;
  const added = await store.nonces.add(
    { nonce, node, purpose, issued: now, expires },
    { address: addressKey(address), perAddress: limits.noncesPerNode, total: limits.noncesPerNodeInAll },
  );
  if (added === 'unknown-node') throw new Refused('unknown-node');
  if (added === 'full') throw new Refused('rate-limited', { retryAfter: 30 });
  return { nonce, expires: new Date(expires).toISOString(), pcrs: quote.pcrs };
}

export interface EvidenceInput {
  /** The body as it came. */
  readonly bytes: Uint8Array;
  /** Read from it, not believed. */
  readonly node: string;
  readonly nonce: string;
  readonly peer: PeerKey | undefined;
  readonly address: string;
}

const member = {
  node: /"node"\s*:\s*"(?<value>[0-9a-f]{64})"/,
  nonce: /"nonce"\s*:\s*"(?<value>[A-Za-z0-9+/]{43}=)"/,
} as const;

/**
 * The two members that say what to look up, found without reading the whole document in the thread that answers everybody.
 * The library compares both with what it reads itself. Inside a string the quotation marks would have backslashes.
 */
export function evidenceHead(
  bytes: Uint8Array,
): { readonly node: string; readonly nonce: string } | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  // Agents send both first.
  return headIn(text.toString('latin1', 0, usualHead)) ?? headIn(text.toString('latin1'));
}

/** Bytes. */
const usualHead = 200;

function headIn(text: string): { readonly node: string; readonly nonce: string } | undefined {
  const node = member.node.exec(text)?.groups?.['value'];
  const nonce = member.nonce.exec(text)?.groups?.['value'];
  return node === undefined || nonce === undefined ? undefined : { node, nonce };
}

/** Nodes whose evidence is being judged here: one at a time each. */
const underWay = new WeakMap<VerifierContext, Set<string>>();

/** @returns an EvidenceAnswer as JSON. @throws Refused */
export async function acceptEvidence(input: EvidenceInput, context: VerifierContext): Promise<string> {
  const { node, peer } = input;
  if (peer === undefined) throw new Refused('channel-refused');
  // Tokens name the key of the node, and the name is one of a P-256 key.
  if (coordinatesOf(peer.spki) === undefined) throw new Refused('tls-key-refused');
  limitNode(node, input.address, context);
  const busy = underWay.get(context) ?? new Set();
  underWay.set(context, busy);
  if (busy.has(node)) throw new Refused('busy', { message: 'evidence of this node is being judged' });
  busy.add(node);
  try {
    return await judgeAndRecord({ ...input, peer }, context);
  } finally {
    busy.delete(node);
  }
}

async function judgeAndRecord(
  input: EvidenceInput & { readonly peer: PeerKey },
  context: VerifierContext,
): Promise<string> {
  const { store, judge, metrics } = context;
  const { peer } = input;
  const now = context.now();
  const found = await store.evidence.context(input.node, input.nonce);
  if (found.node === undefined) throw new Refused('unknown-node');
  const { nonce } = found;
  // Issued later than now: the clock was set back, and nobody knows how old it is.
  const fresh =
    nonce !== undefined && nonce.node === input.node && nonce.expires > now && nonce.issued <= now;
  if (!fresh) throw new Refused('nonce-refused');
  const rules = context.rules();
  const judgement = await judge.judge({
    evidence: input.bytes,
    node: nodeRecord(found.node),
    nonce: { ...nonce, nonce: new Uint8Array(Buffer.from(nonce.nonce, 'base64')) },
    channelKey: peer.spki,
    endorsement: found.node.endorsement === 'certificate' ? 'certificate' : 'allow-list',
    now,
  });
  const { verdict } = judgement;
  const { clock } = verdict;
  if (clock === undefined) return refuseStranger(judgement, { ...input, now }, context);
  const { akName, labels } = found.node;
  // Judged by which? It is asked for again, and judged by the new ones.
  if (context.rules() !== rules) throw new Refused('busy', { message: 'the policy changed meanwhile' });
  const record = verdictRecord(judgement, { ...input, akName, clock, rules, now, context });
  const outcome = await store.evidence.record(record);
  if (outcome === 'nonce-gone') throw new Refused('nonce-refused');
  if (outcome === 'node-changed') throw new Refused('unknown-node');
  // The release was revoked, the node suspended, or a newer quote recorded while this was judged: it asks again.
  if (outcome === 'overtaken') throw new Refused('busy', { message: 'node or release changed meanwhile' });
  metrics.evidence.inc({ outcome: record.verdict });
  if (verdict.reason !== undefined) metrics.failedChecks.inc({ check: verdict.reason });
  context.changes.poke();
  const { node } = input;
  const { release } = verdict;
  const trusted = record.verdict === 'trusted';
  const answer: Omit<EvidenceAnswer, 'checks'> = {
    verdict: record.verdict,
    token: trusted ? (judgement.token?.token ?? null) : null,
    secrets:
      release === undefined || !trusted ? [] : await context.secretNames.get({ node, labels, release }),
    expires: record.expires === null ? null : new Date(record.expires).toISOString(),
  };
  // The checks come as text from the thread that made them: dozens of objects cost more to hand over than to write.
  return `${JSON.stringify(answer).slice(0, -1)},"checks":${judgement.checks}}`;
}

async function refuseStranger(
  { verdict }: Judgement,
  { node, nonce, address, now }: EvidenceInput & { readonly now: number },
  { store, metrics, limiters }: VerifierContext,
): Promise<never> {
  const reason: CheckId = verdict.reason ?? 'evidence-format';
  metrics.evidence.inc({ outcome: 'rejected' });
  metrics.failedChecks.inc({ check: reason });
  const decision = {
    at: now,
    kind: 'evidence.rejected',
    subject: node,
    actor: 'stranger',
    change: false,
    data: { address, reason },
  };
  await store.evidence.reject(nonce, limiters.strangers.take('') > 0 ? undefined : decision);
  if (reason === 'evidence-format') throw new Refused('malformed');
  throw new Refused(reason === 'tls-key' ? 'channel-refused' : 'evidence-refused', { message: reason });
}

interface RecordInput {
  readonly node: string;
  readonly nonce: string;
  readonly akName: string;
  readonly clock: TpmClock;
  readonly rules: string;
  readonly peer: PeerKey;
  readonly address: string;
  readonly now: number;
  readonly context: VerifierContext;
}

function verdictRecord({ verdict, agent, token }: Judgement, input: RecordInput): VerdictRecord {
  const { node, nonce, akName, clock, rules, peer, address, now, context } = input;
  const { failed, release, reason } = verdict;
  return {
    nonce,
    node,
    akName,
    verdict: verdict.verdict,
    at: now,
    expires: verdict.verdict === 'trusted' ? now + context.policy().verdict.lifetime : null,
    release: release?.id ?? null,
    reason: reason ?? null,
    checks: failed,
    clock: { ...clock, clock: clock.clock.toString() },
    version: verdict.verdict === 'trusted' ? (release?.version ?? null) : null,
    rules,
    tlsKey: peer.digest,
    agent,
    data: {
      release:
        release === undefined ? null : { id: release.id, name: release.name, version: release.version },
      reason: reason ?? null,
      failed: failed.map(({ id, message }) => ({ id, message })),
      token: token?.id ?? null,
      rules,
      tlsKey: peer.digest,
      nonce,
      agent,
      address,
    },
  };
}

function limitNode(node: string, address: string, { limiters }: VerifierContext): void {
  const retryAfter = limiters.node.take(`${node} ${addressKey(address)}`);
  if (retryAfter > 0) throw new Refused('rate-limited', { retryAfter });
}

function nodeRecord({ id, ek, ak, akName, state, last }: StoredNode): NodeRecord {
  return {
    node: id,
    ek,
    ak,
    akName,
    state,
    last: last === null ? undefined : { ...last, clock: BigInt(last.clock) },
  };
}
