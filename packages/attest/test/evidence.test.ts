import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AttestError,
  encodeEvidence,
  encodeNodeRecord,
  parseEvidence,
  parseNodeRecord,
  verifyEvidence,
} from '@osguard/attest';
import type { Evidence } from '@osguard/attest';
import fc from 'fast-check';
import { goodPlan, settlePlan } from '../negative/model/baseline.ts';

const { evidence, context } = settlePlan(goodPlan());

/** Buffers and byte arrays of one content are one. */
function plain(value: Evidence): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      member instanceof Uint8Array ? Buffer.from(member).toString('hex') : member,
    ]),
  );
}

const bytes = encodeEvidence(evidence);
const text = Buffer.from(bytes).toString('utf8');

/** What the quote covers, or covers itself. */
function covered(value: Evidence): unknown {
  const { node, nonce, quote, signature, pcrs, tlsKey } = plain(value);
  return { node, nonce, quote, signature, pcrs, tlsKey };
}

function refusal(document: string | Uint8Array): string {
  try {
    parseEvidence(Buffer.from(document));
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof AttestError);
    return error.message;
  }
}

test('parse after encode is the identity', () => {
  assert.deepEqual(plain(parseEvidence(bytes)), plain(evidence));
  const { commandLine: _commandLine, ...without } = evidence;
  assert.deepEqual(plain(parseEvidence(encodeEvidence(without))), plain(without));
});

test('one form only', () => {
  assert.equal(refusal(text), 'accepted');
  assert.match(refusal(text.replace('"node":', '"nodes":')), /./);
  assert.match(refusal(text.replace('evidence/v1', 'evidence/v2')), /schema/);
  assert.match(refusal(text.replace(/"quote":"[^"]*"/, '"quote":""')), /quote is no base64/);
  assert.match(refusal(text.replace(/"nonce":"[^"]*"/, '"nonce":"AAAA"')), /nonce has 3 bytes/);
  assert.match(refusal(text.replace(/"tlsKey":"./, '"tlsKey":"-')), /tlsKey is no base64/);
  assert.match(refusal(text.replace(/("signature":"[^"]*?)=*"/, '$1\\u0000"')), /signature is no base64/);
  assert.match(refusal(text.replace('"0":', '"24":')), /pcrs\.sha256/);
  assert.match(refusal(text.replace('"0":', '"00":')), /pcrs\.sha256/);
  assert.match(refusal(Buffer.from([0xff, 0xfe])), /UTF-8/);
  assert.match(refusal(`${'['.repeat(5000)}${']'.repeat(5000)}`), /more than 4096/);
  assert.match(refusal(' '.repeat(1_048_577)), /1048576 are accepted/);
});

test('every member has its kind, its size and its form', () => {
  const document: Record<string, unknown> = JSON.parse(text);
  const { pcrs, agent: _agent, ...texts } = document;
  const cases: readonly [Record<string, unknown>, RegExp][] = [
    ...Object.keys(texts)
      .filter((name) => name !== 'schema')
      .map((name): [Record<string, unknown>, RegExp] => [
        { [name]: 7 },
        new RegExp(`evidence: ${name} is no`),
      ]),
    ...['nonce', 'quote', 'signature', 'firmwareLog', 'userspaceLog', 'tlsKey', 'commandLine'].map(
      (name): [Record<string, unknown>, RegExp] => [
        { [name]: 'AAAA'.repeat(200_000) },
        new RegExp(`evidence: ${name} is too long`),
      ],
    ),
    [{ node: 'AB'.repeat(32) }, /node is no SHA-256/],
    [{ pcrs: [] }, /pcrs is no object/],
    [{ pcrs: { sha256: null } }, /pcrs\.sha256 is no object/],
    [{ pcrs: { sha256: {}, sha1: {} } }, /pcrs has a member nobody knows: "sha1"/],
    [{ pcrs: { sha256: { 0: 'ab' } } }, /pcrs\.sha256\.0 is no SHA-256/],
    [{ pcrs: { sha256: { '-1': 'ab'.repeat(32) } } }, /"-1" is no PCR index/],
    [{ agent: 'me' }, /agent is no object/],
    [{ agent: {} }, /agent\.version is no version/],
    [{ agent: { version: '1 2' } }, /agent\.version is no version/],
    [{ agent: { version: '1', name: 'me' } }, /agent has a member nobody knows: "name"/],
    [{ more: 1 }, /has a member nobody knows: "more"/],
  ];
  for (const [change, expected] of cases) {
    assert.match(refusal(JSON.stringify({ ...document, ...change })), expected);
  }
  assert.match(refusal('null'), /is no object/);
  assert.match(refusal(text.replace('{', '{"__proto__":{},')), /a member nobody knows: "__proto__"/);
  assert.equal(refusal(JSON.stringify({ ...document, pcrs })), 'accepted');
});

test('the firmware log is read as JSON would read it, however it is written', () => {
  const log = Buffer.from(evidence.firmwareLog).toString('base64');
  const member = `"firmwareLog":"${log}"`;
  const read = (changed: string): string => {
    const document = text.replace(member, () => changed);
    assert.doesNotThrow(() => JSON.parse(document));
    return Buffer.from(parseEvidence(Buffer.from(document)).firmwareLog).toString('base64');
  };
  assert.equal(read(member), log);
  assert.equal(read(`"firmwareLog" : "${log}"`), log);
  assert.equal(read(`"firmwareLog":"\\u00${log.charCodeAt(0).toString(16)}${log.slice(1)}"`), log);
  assert.equal(read(`"firmwareLog":"AAAA",${member}`), log);
  assert.equal(read(`${member},"firmwareLog":"AAAA"`), 'AAAA');
  assert.equal(read(`${member},"firmwareLog" :"AAAA"`), 'AAAA');
  assert.throws(() => read(`${member},"firmwareLog":""`), /firmwareLog is no base64/);
  assert.throws(() => read(`"firmwareLog":"","x\\"firmwareLog":"${log}"`), /a member nobody knows/);
  assert.throws(() => read('"firmwareLog":7'), /firmwareLog is no text/);
  assert.match(refusal(text.replace(member, '"firmwareLog":"AAAA')), /is no JSON/);
  const nested = text.replace(member, '"firmwareLog" :""').replace('"agent":{', `"agent":{${member},`);
  assert.match(refusal(nested), /agent has a member nobody knows/);
});

test('stray bits in base64 are refused', () => {
  // 32 bytes end in one character of padding: its predecessor has two bits that mean nothing.
  const nonce = Buffer.from(evidence.nonce).toString('base64');
  const last = nonce.at(-2) ?? '';
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const stray = `${nonce.slice(0, -2)}${alphabet[alphabet.indexOf(last) | 1]}=`;
  assert.deepEqual(Buffer.from(stray, 'base64'), Buffer.from(nonce, 'base64'));
  assert.match(refusal(text.replace(nonce, stray)), /nonce is no base64/);
});

test('whatever is changed in the document, the answer is a verdict', () => {
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      const changed = Uint8Array.from(bytes);
      changed[at] = value;
      const verdict = verifyEvidence(changed, context);
      if (verdict.verdict !== 'trusted') return;
      // What may change without harm is what no digest covers: words in the logs, the hint, the agent's version.
      assert.deepEqual(covered(parseEvidence(changed)), covered(evidence));
    }),
    { numRuns: 400 },
  );
});

test('a node record is kept and read', () => {
  const { node } = context;
  assert.ok(node);
  assert.equal(
    encodeNodeRecord(parseNodeRecord(Buffer.from(encodeNodeRecord(node)))),
    encodeNodeRecord(node),
  );
  assert.throws(() => parseNodeRecord(Buffer.from('{}')), AttestError);
  assert.throws(() => parseNodeRecord(Buffer.from('x')), AttestError);
  assert.throws(() => parseNodeRecord(new Uint8Array(70_000)), AttestError);
});
