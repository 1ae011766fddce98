/** One piece of evidence judged: the library's verdict, and the token that says it. Runs in a thread of its own. */

import { randomUUID } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { AttestError } from '../../error.ts';
import { parseEvidence } from '../../evidence/parse.ts';
import type { Evidence } from '../../evidence/types.ts';
import type { Policy } from '../../policy/types.ts';
import type { ReferenceRelease } from '../../release/types.ts';
import { issueToken } from '../../token/issue.ts';
import { createTokenSigner } from '../../token/keys.ts';
import type { TokenSigner } from '../../token/types.ts';
import { verifyEvidence } from '../../verify/verify.ts';
import type { NodeRecord, NonceRecord, Verdict } from '../../verify/types.ts';

/** What stays the same from one piece of evidence to the next. */
export interface JudgeSettings {
  readonly policy: Policy;
  readonly releases: readonly ReferenceRelease[];
  readonly tokenKey: KeyObject;
  /** `iss` of tokens: the verifier's URL. */
  readonly issuer: string;
  /** Version of the verifier. */
  readonly build: string;
}

export interface JudgeRequest {
  /** As the node sent it. */
  readonly evidence: Uint8Array;
  readonly node: NodeRecord;
  readonly nonce: NonceRecord;
  /** SubjectPublicKeyInfo of the connection, DER. */
  readonly channelKey: Uint8Array;
  /** How the node's endorsement key came to be trusted. */
  readonly endorsement: 'certificate' | 'allow-list';
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Judgement {
  readonly verdict: Omit<Verdict, 'checks' | 'pcrs'> & {
    /** The checks that are not ok. */
    readonly failed: Verdict['checks'];
  };
  /** All of them, as JSON. */
  readonly checks: string;
  readonly agent: string;
  readonly token: { readonly token: string; readonly id: string; readonly expires: number } | undefined;
}

export interface PreparedJudge {
  readonly settings: JudgeSettings;
  readonly signer: TokenSigner;
}

export function prepareJudge(settings: JudgeSettings): PreparedJudge {
  return { settings, signer: createTokenSigner(settings.tokenKey) };
}

export function judge({ settings, signer }: PreparedJudge, request: JudgeRequest): Judgement {
  const { policy, releases, issuer, build } = settings;
  const { node, nonce, channelKey, endorsement, now } = request;
  const evidence = read(request.evidence);
  const {
    checks: made,
    pcrs: _pcrs,
    ...conclusion
  } = verifyEvidence(evidence ?? request.evidence, {
    node,
    nonce,
    channelKey,
    policy,
    releases,
    now,
  });
  const verdict = { ...conclusion, failed: made.filter(({ ok }) => !ok) };
  const checks = JSON.stringify(made);
  const agent = evidence?.agent.version ?? '';
  if (verdict.verdict !== 'trusted' || evidence === undefined)
    return { verdict, checks, agent, token: undefined };
  const id = randomUUID();
  const { token, expires } = issueToken(
    { ...conclusion, checks: made },
    {
      signer,
      issuer,
      node: node.node,
      nonce: nonce.nonce,
      tlsKey: channelKey,
      id,
      now,
      lifetime: Math.min(policy.token.lifetime, policy.verdict.lifetime),
      policyName: policy.name,
      endorsement,
      build,
    },
  );
  return { verdict, checks, agent, token: { token, id, expires } };
}

/** Undefined when it is no evidence: the library then says what is wrong with it. */
function read(bytes: Uint8Array): Evidence | undefined {
  try {
    return parseEvidence(bytes);
  } catch (error) {
    if (error instanceof AttestError) return undefined;
    throw error;
  }
}
