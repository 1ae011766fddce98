/**
 * The verdict: evidence, what is known of the node, the nonce, reference values, policy and time in; an ordered list of
 * checks out. No clock, no randomness, no file, no network: the same input gives the same verdict years later.
 *
 * Fails closed: a check whose input is missing has failed, and one check that has failed refuses. Nothing is looked up in
 * the evidence to decide what to check it against, except which of the known releases to explain it with. Who speaks is
 * checked first, and nothing else when that fails: only an enrolled TPM can make the verifier read logs.
 */

import { parseEvidence } from '../evidence/parse.ts';
import type { Evidence } from '../evidence/types.ts';
import { AttestError } from '../error.ts';
import { attestationKeyChecks } from './attestation-key.ts';
import { Refused, runCheck } from './check.ts';
import type { CheckDefinition } from './check.ts';
import { logShapeChecks, logTruthChecks } from './firmware-log.ts';
import { freshnessChecks } from './freshness.ts';
import { authenticationIds } from './ids.ts';
import type { CheckId } from './ids.ts';
import { Material } from './material.ts';
import { quotedPcrChecks, quoteOriginChecks } from './quote.ts';
import { firmwareCheck, knownCheck, releaseChecks } from './release-checks.ts';
import { secureBootChecks } from './secure-boot.ts';
import type { AttestCheck, Verdict, VerifyContext } from './types.ts';
import { userspaceCheck } from './userspace.ts';

const nodeStateCheck: CheckDefinition = {
  id: 'node-state',
  claim: 'the node was not taken out',
  run({ node: { state } }) {
    if (state === 'enrolled') return;
    const why =
      state === 'suspended'
        ? 'an operator took the node out'
        : "nobody vouches for the node's endorsement key any more: its certificate was revoked, or a root or list changed";
    throw new Refused(why, { found: state });
  },
};

/** In the order of {@link checkIds}, without evidence-format, which comes before there is anything to look at. */
export const checkDefinitions: readonly CheckDefinition[] = [
  ...freshnessChecks,
  ...attestationKeyChecks,
  ...quoteOriginChecks,
  nodeStateCheck,
  ...quotedPcrChecks,
  ...logShapeChecks,
  userspaceCheck,
  ...logTruthChecks,
  knownCheck,
  ...secureBootChecks,
  firmwareCheck,
  ...releaseChecks,
];

const authentication: ReadonlySet<CheckId> = new Set(authenticationIds);

/** @param evidence as it came from the network, or already parsed. Never throws because of what is in it. */
export function verifyEvidence(evidence: Uint8Array | Evidence, context: VerifyContext): Verdict {
  return verifyWith(checkDefinitions, evidence, context);
}

/** For the test that shows that every check is needed. */
export function verifyWith(
  definitions: readonly CheckDefinition[],
  evidence: Uint8Array | Evidence,
  context: VerifyContext,
): Verdict {
  const { parsed, check } = readEvidence(evidence);
  const material = new Material(parsed, context);
  const checks: AttestCheck[] = [check];
  // A stranger's logs are not worth reading. An auditor, who has no connection, wants to see everything.
  const toTheEnd = context.channelKey === 'offline';
  let stranger = isUnauthenticated(check);
  for (const definition of definitions) {
    if (stranger && !toTheEnd) break;
    for (const made of runCheck(definition, material)) {
      checks.push(made);
      stranger ||= isUnauthenticated(made);
    }
  }
  return concludeFrom(checks, material);
}

function readEvidence(evidence: Uint8Array | Evidence): { parsed: Evidence | undefined; check: AttestCheck } {
  const id = 'evidence-format';
  try {
    const parsed = evidence instanceof Uint8Array ? parseEvidence(evidence) : evidence;
    return { parsed, check: { id, ok: true, message: 'the evidence has the form of evidence' } };
  } catch (error) {
    if (!(error instanceof AttestError)) throw error;
    return { parsed: undefined, check: { id, ok: false, message: error.message } };
  }
}

function concludeFrom(checks: readonly AttestCheck[], material: Material): Verdict {
  const failed = checks.find(({ ok }) => !ok);
  if (checks.some(isUnauthenticated)) {
    return {
      verdict: 'refused',
      authenticated: false,
      checks,
      ...(failed !== undefined && { reason: failed.id }),
    };
  }
  const { clock, resetCount, restartCount } = material.quote.clockInfo;
  const said = { authenticated: true, checks, clock: { clock, resetCount, restartCount } };
  const release = releaseOf(material);
  if (failed !== undefined || release === undefined) {
    const reason = failed?.id ?? 'release-measurements';
    return { verdict: 'refused', ...said, reason, ...(release !== undefined && { release }) };
  }
  return { verdict: 'trusted', ...said, release, pcrs: material.evidence.pcrs };
}

function isUnauthenticated({ ok, id }: AttestCheck): boolean {
  return !ok && authentication.has(id);
}

function releaseOf(material: Material): Verdict['release'] {
  if (material.context.releases.length === 0) return undefined;
  const { id, manifest } = material.match.release;
  return { name: manifest.name, version: manifest.version, id };
}
