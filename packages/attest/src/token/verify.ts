/** For relying parties: is this token a verdict of a verifier I know, about the one I speak with, and still good? */

import { createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';
import { AttestError } from '../error.ts';
import { coordinatesOf } from './keys.ts';
import type { JsonWebKeySet, VerdictClaims } from './types.ts';
import { earProfile, submodule } from './types.ts';

export interface VerifyTokenOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly issuer: string;
  /** Needed when the token names one. */
  readonly audience?: string | undefined;
  /** SubjectPublicKeyInfo of the key the bearer proved to hold, in TLS for example; without it anybody may be bearing the token. */
  readonly tlsKey: Uint8Array | 'any-bearer';
  /** Milliseconds the clocks may differ by; default 30 s. */
  readonly clockSkew?: number;
}

const largestToken = 8192;
const text = z.string().max(512);
const number = z.number().int().nonnegative();

const headerSchema = z.object({
  alg: z.literal('ES256'),
  kid: text,
  typ: z.literal('eat+jwt'),
  crit: z.undefined().optional(),
});
const claimsSchema: z.ZodType<VerdictClaims> = z.object({
  eat_profile: z.literal(earProfile),
  iss: text,
  aud: text.optional(),
  sub: z.string().regex(/^[0-9a-f]{64}$/),
  iat: number,
  exp: number,
  jti: text,
  eat_nonce: text,
  cnf: z.object({
    jwk: z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: text, y: text }),
  }),
  ear_verifier_id: z.object({ developer: text, build: text }),
  submods: z.object({
    [submodule]: z.object({
      ear_status: z.literal('affirming'),
      ear_trustworthiness_vector: z.record(text, z.number().int().min(-128).max(127)),
      ear_appraisal_policy_ids: z.array(text).max(16),
      ear_attester_claims: z.object({ release: z.object({ name: text, version: text, id: text }) }),
    }),
  }),
});

/** @throws AttestError (`token`) that says what does not hold. */
export function verifyToken(token: string, jwks: JsonWebKeySet, options: VerifyTokenOptions): VerdictClaims {
  if (token.length > largestToken) throw refuse(`${token.length} characters, ${largestToken} are accepted`);
  const [header = '', payload = '', signature = '', ...more] = token.split('.');
  if (more.length > 0 || signature === '') throw refuse('is not three parts');
  const head = headerSchema.safeParse(decode(header));
  if (!head.success) throw refuse('is not signed with ES256 as a token of a verifier');
  const key = jwks.keys.find(({ kid }) => kid === head.data.kid);
  if (key === undefined) throw refuse(`is signed with the key ${head.data.kid}, which is not in the key set`);
  const bytes = Buffer.from(signature, 'base64url');
  const input = Buffer.from(`${header}.${payload}`, 'latin1');
  if (bytes.length !== 64 || bytes.toString('base64url') !== signature || !verifies(key, input, bytes)) {
    throw refuse('the signature does not verify');
  }
  const parsed = claimsSchema.safeParse(decode(payload));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refuse(`${issue?.path.join('.') ?? ''}: is not what a trusted verdict says`);
  }
  const claims = parsed.data;
  const skew = options.clockSkew ?? 30_000;
  if (!(options.now >= claims.iat * 1000 - skew)) throw refuse('is from the future');
  if (!(options.now < claims.exp * 1000)) throw refuse('has expired');
  if (claims.iss !== options.issuer) throw refuse(`comes from ${claims.iss}, not from ${options.issuer}`);
  if (claims.aud !== options.audience)
    throw refuse(`is for ${claims.aud ?? 'anyone'}, not for ${options.audience ?? 'anyone'}`);
  if (options.tlsKey !== 'any-bearer') {
    const point = coordinatesOf(options.tlsKey);
    const { x, y } = claims.cnf.jwk;
    if (point?.x !== x || point.y !== y) throw refuse('was made for the holder of another TLS key');
  }
  return claims;
}

function refuse(why: string): AttestError {
  return new AttestError('token', `token: ${why}`, { exitCode: 1 });
}

function verifies(key: JsonWebKeySet['keys'][number], input: Uint8Array, signature: Uint8Array): boolean {
  const { kty, crv, x, y } = key;
  if (kty !== 'EC' || crv !== 'P-256') return false;
  try {
    const publicKey = createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' });
    return verify('sha256', input, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    // A key set with a point that is not on the curve.
    return false;
  }
}

function decode(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
