/**
 * Enrolment: the endorsement key is trusted by its certificate or by an operator, and only the TPM that holds both keys
 * can give back the secret (TPM 2.0 Part 1 section 24). The node is known after that, not before.
 */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { fromHex } from '@osguard/formats/bytes';
import { makeCredential } from '@osguard/formats/tpm2';
import { judgeEnrolment } from '../ek/judge.ts';
import type { EnrolmentJudgement } from '../ek/types.ts';
import type {
  ActivationAnswer,
  ActivationRequest,
  EnrolmentAnswer,
  EnrolmentRequest,
} from '../protocol/index.ts';
import type { VerifierContext } from './context.ts';
import { Refused } from './refusal.ts';

const secretSize = 32;

export interface Caller {
  /** For limits and the log. */
  readonly address: string;
}

/** @throws Refused */
export async function beginEnrolment(
  request: EnrolmentRequest,
  { address }: Caller,
  context: VerifierContext,
): Promise<EnrolmentAnswer> {
  const { store, limits, metrics } = context;
  const now = context.now();
  const claim = {
    ek: decode(request.ek),
    ekCertificates: request.ekCertificates.map(decode),
    ak: decode(request.ak),
  };
  const judgement = await judgeClaim(claim, now, context);
  const { accepted, ek, node, akName } = judgement;
  if (!accepted || ek === undefined || node === undefined || akName === undefined) {
    metrics.enrolments.inc({ outcome: 'refused' });
    await rememberApplicant(judgement, { name: request.name, address, now }, context);
    throw new Refused('endorsement-refused', { message: judgement.reason ?? 'refused' });
  }
  const known = await store.nodes.find(node);
  if (known !== undefined && known.akName !== akName && (known.reenrolUntil ?? 0) <= now) {
    metrics.enrolments.inc({ outcome: 'reenrolment-needed' });
    await noteStranger('enrolment.refused', { node, address, reason: 'reenrolment-needed', now }, context);
    throw new Refused('reenrolment-needed');
  }
  const secret = randomBytes(secretSize);
  const credential = makeCredential(ek, { name: fromHex(akName), secret, random: randomBytes });
  const id = randomBytes(24).toString('base64url');
  const expires = now + limits.enrolmentLifetime;
  const added = await store.enrolments.add(
    {
      id,
      node,
      name: request.name,
      ek: claim.ek,
      ak: claim.ak,
      akName,
      secretHash: hashOf(secret),
      address,
      endorsement: judgement.by ?? 'allow-list',
      ekCertificates: claim.ekCertificates,
      expires,
    },
    { now, total: limits.enrolments, perAddress: limits.enrolmentsPerAddress },
  );
  if (added === 'full')
    throw new Refused('busy', { message: 'too many enrolments are open', retryAfter: 30 });
  return {
    enrolment: id,
    credential: encode(credential.credential),
    secret: encode(credential.secret),
    expires: new Date(expires).toISOString(),
  };
}

/** One try: a wrong secret uses the enrolment up as well. @throws Refused */
export async function activate(
  id: string,
  request: ActivationRequest,
  context: VerifierContext,
): Promise<ActivationAnswer> {
  const { store, metrics, changes } = context;
  const now = context.now();
  const enrolment = await store.enrolments.take(id);
  const given = Buffer.from(hashOf(decode(request.secret)), 'hex');
  // Compared also when there is nothing to compare with, so that both answers take as long.
  const expected = Buffer.from(enrolment?.secretHash ?? '00'.repeat(32), 'hex');
  const equal = timingSafeEqual(given, expected);
  if (enrolment === undefined || enrolment.expires <= now || !equal) {
    metrics.enrolments.inc({ outcome: 'activation-refused' });
    if (enrolment !== undefined) {
      const { node, address } = enrolment;
      await noteStranger('enrolment.refused', { node, address, reason: 'activation-refused', now }, context);
    }
    throw new Refused('activation-refused');
  }
  const { node, name, ek, ak, akName, endorsement, ekCertificates } = enrolment;
  // The policy may have changed since it began.
  const again = await judgeClaim({ ek, ekCertificates, ak }, now, context);
  if (!again.accepted) throw new Refused('endorsement-refused', { message: again.reason ?? 'refused' });
  const known = { id: node, name, ek, ak, akName, endorsement, ekCertificates };
  const outcome = await store.nodes.enrol({ ...known, now });
  if (outcome === 'reenrolment-needed') throw new Refused('reenrolment-needed');
  metrics.enrolments.inc({ outcome: 'enrolled' });
  changes.poke();
  return { node };
}

async function judgeClaim(
  claim: Parameters<typeof judgeEnrolment>[0],
  now: number,
  { store, policy }: VerifierContext,
): Promise<EnrolmentJudgement> {
  const { trust } = policy();
  const judgement = judgeEnrolment(claim, { policy: { trust }, now });
  if (judgement.accepted || judgement.node === undefined) return judgement;
  if (!(await store.enrolments.isApproved(judgement.node))) return judgement;
  const approved = { ...trust, endorsementKeys: new Set([judgement.node]) };
  return judgeEnrolment(claim, { policy: { trust: approved }, now });
}

interface ApplicantFacts {
  readonly name: string;
  readonly address: string;
  readonly now: number;
}

async function rememberApplicant(
  judgement: EnrolmentJudgement,
  { name, address, now }: ApplicantFacts,
  context: VerifierContext,
): Promise<void> {
  const { node, checks, reason = 'refused' } = judgement;
  if (node === undefined) return;
  // Only somebody whose keys are sound can become acceptable by an operator's approval.
  const approvable = checks.every(({ ok, id }) => ok || id.startsWith('ek-certificate'));
  if (approvable) {
    const applicant = { node, name, address, first: now, at: now, attempts: 1, checks };
    await context.store.enrolments.apply(applicant, context.limits.applicants);
  }
  await noteStranger('enrolment.refused', { node, address, reason, now }, context);
}

interface StrangerFacts {
  readonly node: string;
  readonly address: string;
  readonly reason: string;
  readonly now: number;
}

/** Logs a decision about somebody who proved nothing, as long as there are not too many of them. */
async function noteStranger(
  kind: string,
  { node, address, reason, now }: StrangerFacts,
  { store, limiters }: VerifierContext,
): Promise<void> {
  if (limiters.strangers.take('') > 0) return;
  const data = { address, reason };
  await store.decisions.append({ at: now, kind, subject: node, actor: 'stranger', change: false, data });
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function decode(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
