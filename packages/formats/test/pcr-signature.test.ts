import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { FormatError } from '@osguard/formats/bytes';
import type { PcrSignature, PcrSignatureInput } from '@osguard/formats/pcr-signature';
import {
  encodePcrSignatures,
  parsePcrSignatures,
  pcrKeyFingerprint,
  pcrPolicy,
  planPcrSignature,
  verifyPcrSignature,
} from '@osguard/formats/pcr-signature';
import { noVectors, vectors } from '@osguard/testkit';

const found = vectors();
const needsVectors = found === undefined ? { skip: noVectors } : {};

interface Row {
  readonly id: string;
  readonly input: { readonly pcrs: Readonly<Record<string, string>>; readonly pem: string };
  readonly expected: Readonly<Record<string, string>> & {
    readonly derived: { readonly pcr11: string };
    readonly pcrs: readonly number[];
  };
}

function row(id: string): Row {
  const rows = (found?.rows('6-measure-and-policy') ?? []) as unknown as readonly Row[];
  const one = rows.find((each) => each.id === id);
  assert.ok(one !== undefined, id);
  return one;
}

const spki = (pem: string): Uint8Array => createPublicKey(pem).export({ type: 'spki', format: 'der' });

test('vector: a signature of Talos in the format of systemd', needsVectors, () => {
  const { expected } = row('policy/talos/signed-pcr11-sha256');
  const pem = Buffer.from(found?.file('policy/talos-measure-signing.pub.pem') ?? []).toString();
  const json = JSON.stringify({
    sha256: [
      { pcrs: expected.pcrs, pkfp: expected['pkfp'], pol: expected['pol'], sig: expected['sig_base64'] },
    ],
  });
  const [entry] = parsePcrSignatures(Buffer.from(`${json}\0\0`)).sha256 ?? [];
  assert.ok(entry !== undefined);
  const values = new Map([[11, expected.derived.pcr11]]);
  const input: PcrSignatureInput = { bank: 'sha256', values, publicKey: spki(pem) };
  assert.deepEqual(verifyPcrSignature(entry, input), { key: true, policy: true, signature: true });
  assert.equal(pcrPolicy('sha256', values), expected['pol']);
  assert.equal(encodePcrSignatures({ sha256: [entry] }), `${json}\n`);
  const other = verifyPcrSignature(entry, { ...input, values: new Map([[11, '00'.repeat(32)]]) });
  assert.deepEqual(other, { key: true, policy: false, signature: true });
  assert.equal(verifyPcrSignature(entry, { ...input, values: new Map() }).policy, false);
});

test('vector: a signature over a policy digest', needsVectors, () => {
  const { expected } = row('policy/talos/sign');
  const pem = Buffer.from(found?.file('policy/talos-measure-signing.pub.pem') ?? []).toString();
  const entry: PcrSignature = {
    pcrs: [11],
    keyFingerprint: pcrKeyFingerprint(createPublicKey(pem)),
    policy: expected['digest'] ?? '',
    signature: Buffer.from(expected['sig_base64'] ?? '', 'base64'),
  };
  const input: PcrSignatureInput = {
    bank: 'sha256',
    values: new Map([[11, '00'.repeat(32)]]),
    publicKey: spki(pem),
  };
  assert.ok(verifyPcrSignature(entry, input).signature);
  const wrong = { ...entry, signature: entry.signature.slice().fill(0, 0, 1) };
  assert.ok(!verifyPcrSignature(wrong, input).signature);
});

test('vector: policies over several PCRs, and fingerprints of elliptic keys', needsVectors, () => {
  const { input, expected } = row('policy/systemd/pcr-4-7-8');
  const values = new Map(Object.entries(input.pcrs).map(([pcr, value]) => [Number(pcr), value]));
  assert.equal(pcrPolicy('sha256', values), expected['once']);
  const ecc = row('policy/systemd/pem-ecc-p256');
  assert.equal(pcrKeyFingerprint(createPublicKey(ecc.input.pem)), ecc.expected['fingerprint']);
});

test('each bank is signed with its own hash over a SHA-256 policy', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const values = new Map([[11, 'ab'.repeat(64)]]);
  const plan = planPcrSignature({ bank: 'sha512', values, publicKey: der });
  assert.equal(plan.digestAlgorithm, 'sha512');
  assert.equal(plan.toSign.length, 32);
  const entry = plan.finish(sign('sha512', plan.toSign, privateKey));
  const input: PcrSignatureInput = { bank: 'sha512', values, publicKey: der };
  assert.deepEqual(verifyPcrSignature(entry, input), { key: true, policy: true, signature: true });
  const asSha256 = plan.finish(sign('sha256', plan.toSign, privateKey));
  assert.ok(!verifyPcrSignature(asSha256, input).signature);
  assert.throws(() => pcrPolicy('sha256', values), /64 bytes, not 32/);
});

function refuse(value: unknown, why: RegExp): void {
  const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  assert.throws(
    () => parsePcrSignatures(bytes),
    (error: unknown) => error instanceof FormatError && why.test(error.message),
    why.source,
  );
}

test('what is no such JSON is refused', () => {
  const entry = { pcrs: [11], pkfp: 'ab'.repeat(32), pol: 'cd'.repeat(32), sig: 'AAAA' };
  assert.deepEqual(Object.keys(parsePcrSignatures(Buffer.from(JSON.stringify({ sm3_256: [1], sha1: [] })))), [
    'sha1',
  ]);
  refuse('{', /no JSON/);
  refuse([], /PCR signatures/);
  refuse({ sha256: {} }, /sha256/);
  refuse({ sha256: [{ ...entry, pcrs: [] }] }, /sha256\.0\.pcrs/);
  refuse({ sha256: [{ ...entry, pcrs: [24] }] }, /sha256\.0\.pcrs\.0/);
  refuse({ sha256: [entry, { ...entry, pcrs: [7, 4] }] }, /sha256\.1\.pcrs: not ascending/);
  refuse({ sha256: [{ ...entry, pol: 'cd' }] }, /sha256\.0\.pol/);
  refuse({ sha256: [{ ...entry, sig: 'AA*A' }] }, /sha256\.0\.sig: no base64/);
});
