/** Nodes whose endorsement key nobody vouches for any more are taken out, and let in again when somebody does. */

import { hash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { endorsementProblem } from '../ek/review.ts';
import type { EnrolmentCheckId } from '../ek/types.ts';
import type { Policy } from '../policy/types.ts';
import type { Store, StoredEndorsement } from '../store/index.ts';

export interface ReviewOptions {
  readonly policy: Policy;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** A policy that came meanwhile, or the end of the service. */
  readonly signal: AbortSignal;
}

export interface ReviewOutcome {
  readonly unendorsed: number;
  readonly endorsedAgain: number;
}

/** Nodes looked at before others have their turn: some 0.3 ms each. */
const page = 50;
const markName = 'endorsements-reviewed';

/** Undefined when the nodes were looked at under this trust before, or the signal ended it. @throws StoreError */
export async function reviewEndorsements(
  store: Store,
  { policy, now, signal }: ReviewOptions,
): Promise<ReviewOutcome | undefined> {
  const digest = endorsementDigest(policy);
  if ((await store.policy.mark(markName)) === digest) return undefined;
  let unendorsed = 0;
  let endorsedAgain = 0;
  for (let after = ''; ;) {
    const found = await store.nodes.endorsements({ after, limit: page });
    for (const node of found) {
      if (signal.aborted) return undefined;
      const problem = problemOf(node, { policy, now });
      const changed = node.state === 'enrolled' ? problem !== undefined : problem === undefined;
      if (!changed || node.state === 'suspended') continue;
      const act = { at: now, actor: 'policy', problem: problem ?? null };
      if (!(await store.nodes.setEndorsed(node.id, act))) continue;
      if (problem === undefined) endorsedAgain += 1;
      else unendorsed += 1;
    }
    const last = found.at(-1);
    if (last === undefined || found.length < page) break;
    after = last.id;
    await turn();
  }
  await store.policy.setMark(markName, digest);
  return { unendorsed, endorsedAgain };
}

export function problemOf(
  { id, ekCertificates, approved, enrolled }: StoredEndorsement,
  { policy, now }: Pick<ReviewOptions, 'policy' | 'now'>,
): EnrolmentCheckId | undefined {
  if (ekCertificates === undefined) return undefined;
  return endorsementProblem({ node: id, ekCertificates, approved, enrolled }, policy, now);
}

function endorsementDigest({ trust }: Policy): string {
  const text = JSON.stringify([
    hashes(trust.endorsementRoots),
    hashes(trust.endorsementIntermediates),
    [...trust.endorsementKeys].toSorted(),
    hashes(trust.revocation.lists),
  ]);
  return hash('sha256', text, 'hex');
}

function hashes(ders: readonly { readonly der: Uint8Array }[]): readonly string[] {
  return ders.map(({ der }) => hash('sha256', der, 'hex')).toSorted();
}
