import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { FormatError } from '@osguard/formats/bytes';
import {
  allSignersGood,
  parseSignedData,
  planIpePolicySignature,
  planRootHashSignature,
  planSignedData,
  verifyIpePolicySignature,
  verifyRootHashSignature,
  verifySignedData,
} from '@osguard/formats/cms';
import { encodePem } from '@osguard/formats/x509';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { finish, makeSigner } from './test-signer.ts';

const rootHash = '0123456789abcdef'.repeat(4);
const openssl = judge('openssl');
const needsOpenssl = openssl === undefined ? { skip: noJudge('openssl') } : {};

const rsa = makeSigner('test rsa', 'rsa');
const ec = makeSigner('test ec', 'ec');
const stranger = makeSigner('test rsa', 'rsa');

function failed(results: ReturnType<typeof verifySignedData>): string[] {
  return results.flatMap(({ checks }) => checks.filter(({ ok }) => !ok).map(({ id }) => id));
}

test('every form verifies with its own certificate and with no other', () => {
  const bytes = Buffer.from('policy_name=test policy_version=0.0.0\n');
  for (const signer of [rsa, ec]) {
    for (const digestAlgorithm of ['sha256', 'sha384', 'sha512'] as const) {
      for (const kind of ['attached', 'detached'] as const) {
        for (const signedAttributes of [false, true]) {
          for (const certificates of [[], [signer.certificate]]) {
            for (const envelope of ['content-info', 'bare'] as const) {
              const plan = planSignedData({
                signer: signer.certificate,
                digestAlgorithm,
                content: { kind, bytes },
                signedAttributes,
                certificates,
                envelope,
              });
              const contentInfo = envelope === 'bare' ? 'absent' : 'required';
              const message = parseSignedData(finish(signer, plan), { contentInfo });
              const content = kind === 'detached' ? { content: bytes } : {};
              const good = verifySignedData(message, { trusted: [signer.certificate], ...content });
              assert.deepEqual(failed(good), []);
              assert.ok(allSignersGood(good));
              const bad = verifySignedData(message, { trusted: [stranger.certificate], ...content });
              assert.ok(!allSignersGood(bad));
            }
          }
        }
      }
    }
  }
});

test('the root hash signature is exactly what openssl makes for the kernel', needsOpenssl, () => {
  using dir = scratch('cms');
  writeFileSync(dir.file('key.pem'), rsa.key.export({ format: 'pem', type: 'pkcs8' }));
  writeFileSync(dir.file('crt.pem'), encodePem('CERTIFICATE', rsa.certificate.der));
  writeFileSync(dir.file('hash'), rootHash);
  writeFileSync(dir.file('policy'), 'policy_name=x policy_version=0.0.1\nDEFAULT action=ALLOW\n');
  const run = (args: string[]): void => {
    const done = openssl?.run(args, { cwd: dir.path });
    assert.equal(done?.status, 0, done?.stderr);
  };
  const common = [
    '-signer',
    'crt.pem',
    '-inkey',
    'key.pem',
    '-binary',
    '-noattr',
    '-nocerts',
    '-outform',
    'der',
  ];
  run(['smime', '-sign', '-in', 'hash', '-out', 'theirs.p7s', ...common]);
  const ours = finish(rsa, planRootHashSignature(rsa.certificate, rootHash));
  assert.deepEqual(Buffer.from(ours), readFileSync(dir.file('theirs.p7s')));
  assert.deepEqual(failed(verifyRootHashSignature(ours, rootHash, { trusted: [rsa.certificate] })), []);

  run(['smime', '-sign', '-nodetach', '-in', 'policy', '-out', 'theirs.p7b', ...common]);
  const policy = finish(rsa, planIpePolicySignature(rsa.certificate, readFileSync(dir.file('policy'))));
  assert.deepEqual(Buffer.from(policy), readFileSync(dir.file('theirs.p7b')));
  const read = verifyIpePolicySignature(policy, { trusted: [rsa.certificate] });
  assert.deepEqual(failed(read.signers), []);
  assert.deepEqual(Buffer.from(read.policy), readFileSync(dir.file('policy')));
});

test('openssl verifies ours and we verify what openssl makes', needsOpenssl, () => {
  using dir = scratch('cms');
  const content = Buffer.from('hello\n');
  writeFileSync(dir.file('content'), content);
  for (const [name, signer] of [
    ['rsa', rsa],
    ['ec', ec],
  ] as const) {
    writeFileSync(dir.file(`${name}.key`), signer.key.export({ format: 'pem', type: 'pkcs8' }));
    writeFileSync(dir.file(`${name}.crt`), encodePem('CERTIFICATE', signer.certificate.der));
    for (const signedAttributes of [false, true]) {
      const plan = planSignedData({
        signer: signer.certificate,
        digestAlgorithm: 'sha384',
        content: { kind: 'detached', bytes: content },
        signedAttributes,
        certificates: [signer.certificate],
        envelope: 'content-info',
      });
      writeFileSync(dir.file('ours.p7s'), finish(signer, plan));
      const args = ['cms', '-verify', '-inform', 'der', '-in', 'ours.p7s', '-content', 'content', '-binary'];
      const done = openssl?.run([...args, '-CAfile', `${name}.crt`, '-no_check_time'], { cwd: dir.path });
      assert.equal(done?.status, 0, done?.stderr);

      const make = ['cms', '-sign', '-binary', '-outform', 'der', '-in', 'content', '-out', 'theirs.p7s'];
      const flags = [...(signedAttributes ? [] : ['-noattr']), '-md', 'sha512'];
      const made = openssl?.run([...make, '-signer', `${name}.crt`, '-inkey', `${name}.key`, ...flags], {
        cwd: dir.path,
      });
      assert.equal(made?.status, 0, made?.stderr);
      const message = parseSignedData(readFileSync(dir.file('theirs.p7s')));
      assert.deepEqual(failed(verifySignedData(message, { content, trusted: [signer.certificate] })), []);
      const other = Buffer.from('hellO\n');
      assert.notDeepEqual(
        failed(verifySignedData(message, { content: other, trusted: [signer.certificate] })),
        [],
      );
    }
  }
  // SHA-1, streamed BER and a key identifier, as openssl makes them.
  const sign1 = [
    'cms',
    '-sign',
    '-binary',
    '-outform',
    'der',
    '-in',
    'content',
    '-signer',
    'rsa.crt',
    '-inkey',
    'rsa.key',
  ];
  assert.equal(openssl?.run([...sign1, '-md', 'sha1', '-out', 'sha1.p7s'], { cwd: dir.path }).status, 0);
  const weak = parseSignedData(readFileSync(dir.file('sha1.p7s')));
  const verdict = verifySignedData(weak, { content, trusted: [rsa.certificate] });
  assert.ok(failed(verdict).includes('algorithms'));
  assert.ok(verdict[0]?.checks.some(({ found }) => found.includes('SHA-1')));
  assert.equal(
    openssl.run([...sign1, '-stream', '-nodetach', '-out', 'ber.p7s'], { cwd: dir.path }).status,
    0,
  );
  assert.throws(() => parseSignedData(readFileSync(dir.file('ber.p7s'))), /indefinite length/);
});

test('a signature does not move to another root hash, and trailing bytes are refused', () => {
  const p7s = finish(rsa, planRootHashSignature(rsa.certificate, rootHash));
  const results = verifyRootHashSignature(p7s, rootHash.replace('0', '1'), { trusted: [rsa.certificate] });
  assert.deepEqual(failed(results), ['signature']);
  assert.deepEqual(failed(verifyRootHashSignature(p7s, rootHash, { trusted: [] })), [
    'certificate',
    'trust',
    'signature',
  ]);
  // Same name and serial number, other key: found by its name, refused by its signature.
  assert.deepEqual(failed(verifyRootHashSignature(p7s, rootHash, { trusted: [stranger.certificate] })), [
    'signature',
  ]);
  const late = { trusted: [rsa.certificate], at: Date.UTC(2060, 0, 1) };
  assert.deepEqual(failed(verifyRootHashSignature(p7s, rootHash, late)), ['validity']);
  assert.throws(() => parseSignedData(Buffer.concat([p7s, Uint8Array.of(0)])), FormatError);
  assert.throws(() => parseSignedData(p7s, { contentInfo: 'absent' }), FormatError);
  assert.throws(() => planRootHashSignature(rsa.certificate, `${rootHash}\n`), FormatError);
  assert.throws(() => planRootHashSignature(rsa.certificate, rootHash.toUpperCase()), FormatError);
});

test('the two algorithms of a signer must agree', () => {
  const p7s = Buffer.from(finish(ec, planRootHashSignature(ec.certificate, rootHash)));
  const at = p7s.lastIndexOf(Buffer.from('2a8648ce3d040302', 'hex'));
  assert.ok(at > 0);
  // ecdsa-with-SHA256 becomes ecdsa-with-SHA384 beside a SHA-256 digest.
  p7s[at + 7] = 3;
  assert.deepEqual(failed(verifyRootHashSignature(p7s, rootHash, { trusted: [ec.certificate] })), [
    'algorithms',
    'signature',
  ]);
});

test('a message without signers has no good signer', () => {
  assert.equal(allSignersGood([]), false);
});

test('any changed byte makes the message unreadable or the signature bad', () => {
  const p7s = finish(rsa, planRootHashSignature(rsa.certificate, rootHash));
  for (let at = 0; at < p7s.length; at += 1) {
    const broken = Uint8Array.from(p7s);
    broken[at] = (broken[at] ?? 0) ^ 0x01;
    try {
      const results = verifyRootHashSignature(broken, rootHash, { trusted: [rsa.certificate] });
      assert.ok(!allSignersGood(results), `byte ${at}`);
    } catch (error) {
      assert.ok(error instanceof FormatError, `byte ${at}: ${String(error)}`);
    }
  }
});

test('a certificate round trips through openssl', needsOpenssl, () => {
  const text = openssl?.run(['x509', '-inform', 'der', '-noout', '-subject', '-serial', '-enddate'], {
    input: rsa.certificate.der,
  });
  assert.match(
    text?.stdout ?? '',
    /subject=CN = test rsa\nserial=810203\nnotAfter=Jan {2}1 00:00:00 2056 GMT/,
  );
  assert.equal(rsa.certificate.commonName, 'test rsa');
  assert.equal(rsa.certificate.notAfter, Date.UTC(2056, 0, 1));
});
