import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  enrolmentRequestSchema,
  evidenceMessageSchema,
  evidenceQualifyingData,
  limits,
} from '@osguard/attest/protocol';
import type { EvidenceMessage } from '@osguard/attest/protocol';

const good: EvidenceMessage = {
  schema: 'osguard/evidence/v1',
  node: 'a'.repeat(64),
  nonce: Buffer.alloc(32).toString('base64'),
  quote: 'AAAA',
  signature: 'AAA=',
  pcrs: { sha256: { '0': '0'.repeat(64), '23': 'f'.repeat(64) } },
  firmwareLog: '',
  userspaceLog: '',
  tlsKey: 'AA==',
  agent: { version: '1' },
};

const takes = (change: object): boolean => evidenceMessageSchema.safeParse({ ...good, ...change }).success;

void test('evidence is read strictly', () => {
  assert.ok(takes({}));
  assert.ok(!takes({ more: 1 }));
  assert.ok(!takes({ node: 'A'.repeat(64) }));
  assert.ok(!takes({ quote: 'AAA' }));
  assert.ok(!takes({ quote: 'AA-_' }));
  assert.ok(!takes({ pcrs: { sha256: { '24': '0'.repeat(64) } } }));
  assert.ok(!takes({ pcrs: { sha256: { '00': '0'.repeat(64) } } }));
  assert.ok(!takes({ pcrs: { sha256: {}, sha1: {} } }));
  assert.ok(!takes({ firmwareLog: 'A'.repeat((limits.firmwareLog / 3 + 2) * 4) }));
});

void test('names cannot carry control characters', () => {
  const request = { ek: '', ekCertificates: [], ak: '', name: 'worker-1' };
  assert.ok(enrolmentRequestSchema.safeParse(request).success);
  assert.ok(!enrolmentRequestSchema.safeParse({ ...request, name: 'a\u001b[2J' }).success);
});

void test('the qualifying data is what the contract says', () => {
  const nonce = new Uint8Array(32).fill(7);
  const tlsKey = new TextEncoder().encode('key');
  const inner = createHash('sha256').update('key').digest();
  const text = Buffer.concat([Buffer.from('osguard/evidence/v1\0'), nonce, inner]);
  assert.deepEqual(
    Buffer.from(evidenceQualifyingData({ nonce, tlsKey })),
    createHash('sha256').update(text).digest(),
  );
});
