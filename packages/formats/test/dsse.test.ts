import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { FormatError } from '../src/bytes/index.ts';
import type { DsseKey } from '../src/dsse/index.ts';
import {
  certificateDsseKey,
  encodeDsse,
  encodeStatement,
  parseDsse,
  parseStatement,
  planDsse,
  preAuthenticationEncoding,
  verifyDsse,
} from '../src/dsse/index.ts';
import { decodePem, parseCertificate } from '../src/x509/index.ts';

const bytes = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text, 'utf8'));

const pae = (type: string, payload: string): string =>
  Buffer.from(preAuthenticationEncoding(type, bytes(payload))).toString('utf8');

const envelopeWith = (members: object): Uint8Array =>
  bytes(JSON.stringify({ payload: '-_8=', payloadType: 't', signatures: [{ sig: '-_8' }], ...members }));

test('the pre-authentication encoding of the protocol, lengths in bytes', () => {
  assert.equal(
    pae('http://example.com/HelloWorld', 'hello world'),
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
  assert.equal(pae('', ''), 'DSSEv1 0  0 ');
  assert.equal(pae('ü', 'ü'), 'DSSEv1 2 ü 2 ü');
});

test('property: parse(encode(envelope)) is the envelope', () => {
  const data = fc.uint8Array({ maxLength: 200 });
  const sig = fc.uint8Array({ minLength: 1, maxLength: 80 });
  const signature = fc.oneof(
    fc.record({ sig }, { noNullPrototype: true }),
    fc.record({ sig, keyid: fc.string() }, { noNullPrototype: true }),
  );
  const anyEnvelope = fc.record(
    {
      payloadType: fc.string({ minLength: 1 }),
      payload: data,
      signatures: fc.array(signature, { minLength: 1, maxLength: 4 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(anyEnvelope, (one) => {
      const again = parseDsse(encodeDsse(one));
      assert.deepEqual(again, one);
    }),
  );
});

test('URL-safe base64 and unknown members are accepted, damage is not', () => {
  assert.deepEqual([...parseDsse(envelopeWith({ extra: 1 })).payload], [0xfb, 0xff]);
  for (const members of [
    { payload: '-/8=' },
    { payload: 'AB==C' },
    { payload: 'AB' },
    { payload: 'AA==\n' },
    { payload: 1 },
    { payloadType: '' },
    { signatures: [] },
    { signatures: [{ sig: '' }] },
    { signatures: Array.from({ length: 65 }, () => ({ sig: 'AA==' })) },
  ]) {
    assert.throws(() => parseDsse(envelopeWith(members)), FormatError, JSON.stringify(members).slice(0, 80));
  }
  assert.throws(() => parseDsse(bytes('{')), FormatError);
});

test('every key is tried, each counts once, key IDs prove nothing', () => {
  const pairs = ['a', 'b', 'c'].map((name) => ({ name, ...generateKeyPairSync('ed25519') }));
  const keys: DsseKey[] = pairs.map(({ name, publicKey }) => ({
    name,
    verify: (data, signature) => verify(null, data, publicKey, signature),
  }));
  const toSign = preAuthenticationEncoding('t', bytes('p'));
  const [a, b] = pairs.map(({ privateKey }) => sign(null, toSign, privateKey));
  assert(a !== undefined && b !== undefined);
  const content = { payloadType: 't', payload: bytes('p') };
  const signatures = [{ sig: b, keyid: 'c' }, { sig: a, keyid: 'c' }, { sig: a }];
  assert.deepEqual(verifyDsse({ ...content, signatures }, keys).signedBy, ['a', 'b']);
  assert.deepEqual(verifyDsse({ ...content, payloadType: 'u', signatures }, keys).signedBy, []);
  assert.deepEqual(verifyDsse({ ...content, payload: bytes('q'), signatures }, keys).signedBy, []);
});

test('statements', () => {
  const statement = {
    subject: [{ name: 'disk.raw', digest: { sha256: 'ab'.repeat(32) } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: { buildDefinition: { list: [1, 'two', null] } },
  };
  const encoded = encodeStatement(statement);
  assert.deepEqual(parseStatement(encoded), statement);
  assert(
    Buffer.from(encoded).toString().startsWith('{"_type":"https://in-toto.io/Statement/v1","predicate":'),
  );
  const bad = (change: object): Uint8Array =>
    bytes(JSON.stringify({ ...JSON.parse(Buffer.from(encoded).toString()), ...change }));
  for (const change of [
    { _type: 'x' },
    { subject: [] },
    { subject: [{ digest: {} }] },
    { subject: [{ digest: { sha256: 'AB' } }] },
    { predicateType: '' },
  ]) {
    assert.throws(() => parseStatement(bad(change)), FormatError, JSON.stringify(change));
  }
  assert.throws(() => encodeStatement({ ...statement, subject: [] }), FormatError);
});

const openssl = judge('openssl');

test(
  'judge: openssl signs and verifies over the encoding',
  { skip: openssl === undefined && noJudge('openssl') },
  () => {
    using dir = scratch('dsse');
    const run = (...args: string[]): void => {
      const done = openssl?.run(args, { cwd: dir.path });
      assert.equal(done?.status, 0, done?.stderr);
    };
    run(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-keyout',
      'key.pem',
      '-out',
      'crt.pem',
      '-subj',
      '/CN=t',
      '-days',
      '2',
    );
    const plan = planDsse({
      payloadType: 'application/vnd.in-toto+json',
      payload: bytes('{"a":1}'),
      keyid: 'k',
    });
    writeFileSync(dir.file('pae'), plan.toSign);
    run('dgst', '-sha256', '-sign', 'key.pem', '-out', 'sig', 'pae');
    const pem = openssl?.run(['x509', '-in', 'crt.pem'], { cwd: dir.path }).stdout ?? '';
    const [der] = decodePem('CERTIFICATE', pem);
    assert(der !== undefined);
    const key = certificateDsseKey(parseCertificate(der));
    const base64 = openssl?.run(['base64', '-A', '-in', 'sig'], { cwd: dir.path }).stdout ?? '';
    const envelope = parseDsse(plan.finish(Buffer.from(base64, 'base64')));
    assert.deepEqual(verifyDsse(envelope, [key]).signedBy, ['CN=t']);
    writeFileSync(dir.file('again'), preAuthenticationEncoding(envelope.payloadType, envelope.payload));
    run('x509', '-in', 'crt.pem', '-pubkey', '-noout', '-out', 'pub.pem');
    run('dgst', '-sha256', '-verify', 'pub.pem', '-signature', 'sig', 'again');
  },
);
