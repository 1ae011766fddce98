import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { AttestError, createTokenSigner, issueToken, jwksOf, verifyToken } from '@osguard/attest';
import type { Verdict, VerifyTokenOptions } from '@osguard/attest';
import { createLocalJWKSet, jwtVerify, SignJWT } from 'jose';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signer = createTokenSigner(privateKey);
const jwks = jwksOf([signer]);
const node = 'ab'.repeat(32);
const tlsKey = createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).export({
  format: 'der',
  type: 'spki',
});
const now = Date.parse('2026-11-22T10:00:00.500Z');
const trusted: Verdict = {
  verdict: 'trusted',
  authenticated: true,
  checks: [],
  release: { name: 'host', version: '1.0', id: 'cd'.repeat(32) },
};
const options = {
  signer,
  issuer: 'https://verifier.example',
  node,
  nonce: new Uint8Array(32).fill(7),
  tlsKey,
  id: 'one',
  now,
  lifetime: 600_000,
  policyName: 'production',
  endorsement: 'certificate',
  build: '0.1.0',
} as const;
const asked: VerifyTokenOptions = { now, issuer: options.issuer, tlsKey };

function refusal(token: string, changes: Partial<VerifyTokenOptions> = {}, keys = jwks): string {
  try {
    verifyToken(token, keys, { ...asked, ...changes });
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof AttestError);
    return error.message;
  }
}

test('a verdict becomes a token that this and other implementations verify', async () => {
  const { token, expires } = issueToken(trusted, options);
  assert.equal(expires, Date.parse('2026-11-22T10:10:00Z'));
  const claims = verifyToken(token, jwks, asked);
  assert.equal(claims.sub, node);
  assert.deepEqual(claims.submods['osguard-host'].ear_attester_claims.release, trusted.release);
  assert.equal(claims.submods['osguard-host'].ear_trustworthiness_vector['hardware'], 2);
  // jose as an independent judge of JWS, JWK set and claims.
  const { payload, protectedHeader } = await jwtVerify(
    token,
    createLocalJWKSet({ keys: [...jwks.keys].map((key) => ({ ...key })) }),
    {
      issuer: options.issuer,
      currentDate: new Date(now),
      algorithms: ['ES256'],
      typ: 'eat+jwt',
    },
  );
  assert.equal(protectedHeader.kid, signer.kid);
  assert.equal(payload['eat_profile'], 'tag:ietf.org,2026:rats/ear#04');
});

test('only a trusted verdict becomes a token', () => {
  assert.throws(() => issueToken({ ...trusted, verdict: 'refused' }, options), AttestError);
  assert.throws(() => issueToken(trusted, { ...options, tlsKey: new Uint8Array(91) }), AttestError);
});

test('nothing is claimed of hardware that only a list vouches for', () => {
  const { token } = issueToken(trusted, { ...options, endorsement: 'allow-list' });
  assert.equal(
    verifyToken(token, jwks, asked).submods['osguard-host'].ear_trustworthiness_vector['hardware'],
    undefined,
  );
});

test('a token is refused for each thing it binds', async () => {
  const { token } = issueToken(trusted, options);
  const [header, payload, signature] = token.split('.');
  assert.equal(refusal(token), 'accepted');
  assert.match(refusal(token, { now: now + 600_000 }), /expired/);
  assert.match(refusal(token, { now: now - 60_000 }), /future/);
  assert.match(refusal(token, { now: Number.NaN }), /future/);
  assert.match(refusal(token, { issuer: 'https://other.example' }), /comes from/);
  assert.match(refusal(token, { audience: 'cluster' }), /is for/);
  assert.match(refusal(issueToken(trusted, { ...options, audience: 'cluster' }).token), /is for/);
  const other = createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  assert.match(refusal(token, { tlsKey: other.export({ format: 'der', type: 'spki' }) }), /another TLS key/);
  assert.equal(refusal(token, { tlsKey: 'any-bearer' }), 'accepted');
  const foreign = createTokenSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  assert.match(refusal(token, {}, jwksOf([foreign])), /not in the key set/);
  const renamed = { keys: [{ ...foreign.publicKey, kid: signer.kid }] };
  assert.match(refusal(token, {}, renamed), /does not verify/);
  assert.match(refusal(`${header}.${payload}.`), /three parts/);
  assert.match(refusal(`${token}.`), /three parts/);
  assert.match(refusal(`${header}.${payload}.${signature}AA`), /does not verify/);
  const changed = Buffer.from(
    Buffer.from(payload ?? '', 'base64url')
      .toString()
      .replace('"1.0"', '"9.0"'),
  ).toString('base64url');
  assert.match(refusal(`${header}.${changed}.${signature}`), /does not verify/);
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'eat+jwt', kid: signer.kid })).toString(
    'base64url',
  );
  assert.match(refusal(`${none}.${payload}.${signature}`), /not signed with ES256/);
  const refused = await new SignJWT({ eat_profile: 'tag:ietf.org,2026:rats/ear#04', submods: {} })
    .setProtectedHeader({ alg: 'ES256', kid: signer.kid, typ: 'eat+jwt' })
    .setIssuer(options.issuer)
    .sign(privateKey);
  assert.match(refusal(refused), /not what a trusted verdict says/);
});
