/**
 * Whether a verdict token still counts: it does while the verifier itself still trusts the node, for the release and the TLS
 * key the token names. Who asks learns nothing that the token does not say.
 */

import { createHash } from 'node:crypto';
import { AttestError } from '../error.ts';
import type { TokenStatus } from '../protocol/index.ts';
import { spkiOf } from '../token/keys.ts';
import { submodule } from '../token/types.ts';
import type { VerdictClaims } from '../token/types.ts';
import { verifyToken } from '../token/verify.ts';
import type { VerifierContext } from './context.ts';

/** @throws StoreError */
export async function statusOfToken(token: string, context: VerifierContext): Promise<TokenStatus> {
  const now = context.now();
  const claims = readToken(token, now, context);
  if (claims === undefined) return { active: false };
  const { sub, iss, iat, exp, jti, cnf, submods } = claims;
  const node = await context.store.nodes.detail(sub, now);
  const { release } = submods[submodule].ear_attester_claims;
  const tlsKey = createHash('sha256').update(spkiOf(cnf.jwk)).digest('hex');
  const active = node?.trust === 'trusted' && node.release?.id === release.id && node.tlsKey === tlsKey;
  return active ? { active, sub, iss, iat, exp, jti, release } : { active };
}

function readToken(token: string, now: number, { jwks, issuer }: VerifierContext): VerdictClaims | undefined {
  try {
    return verifyToken(token, jwks, { now, issuer, tlsKey: 'any-bearer' });
  } catch (error) {
    if (error instanceof AttestError) return undefined;
    throw error;
  }
}
