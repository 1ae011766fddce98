import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { before, after, test } from 'node:test';
import { verifyIpePolicySignature, verifyRootHashSignature, allSignersGood } from '@osguard/formats/cms';
import { certificateDsseKey, parseDsse, verifyDsse } from '@osguard/formats/dsse';
import {
  assertRole,
  describeKeys,
  initKeys,
  keyRoles,
  KeysError,
  loadKeyring,
  signDsse,
  signIpePolicy,
  signRootHash,
} from '@osguard/keys';
import type { KeysErrorCode, Keyring } from '@osguard/keys';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { signerContract } from './signer-contract.ts';

const dir = scratch('keys');
const folder = dir.file('keys');
const now = Date.UTC(2026, 10, 22, 1, 2, 3);
let keyring: Keyring;

before(async () => {
  await initKeys(folder, { now: () => now, random: (length) => new Uint8Array(length).fill(7) });
  keyring = await loadKeyring(folder);
});
after(() => dir[Symbol.dispose]());

const code = (wanted: KeysErrorCode) => (error: unknown) =>
  error instanceof KeysError && error.code === wanted;

test('keys are private files in a private folder, and nothing else is left beside it', () => {
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const role of keyRoles) assert.equal(statSync(`${folder}/${role}.key`).mode & 0o777, 0o600);
  assert.equal(readdirSync(folder).length, 3 * keyRoles.length);
  assert.deepEqual(readdirSync(dir.path), ['keys']);
});

test('an existing folder is never overwritten, an empty one is filled', async () => {
  const original = readFileSync(`${folder}/boot.key`);
  await assert.rejects(initKeys(folder), code('exists'));
  assert.deepEqual(readFileSync(`${folder}/boot.key`), original);
  writeFileSync(dir.file('file'), '');
  await assert.rejects(initKeys(dir.file('file')), code('exists'));
  mkdirSync(dir.file('empty'));
  await initKeys(dir.file('empty'), { roles: ['usr'], rsaBits: { usr: 2048 } });
  assert.deepEqual(readdirSync(dir.file('empty')).sort(), ['usr.crt', 'usr.der', 'usr.key']);
});

test('a failure half-way leaves nothing', async () => {
  let left = 1;
  const random = (length: number): Uint8Array => {
    left -= 1;
    if (left < 0) throw new Error('no randomness');
    return new Uint8Array(length);
  };
  await assert.rejects(initKeys(dir.file('half'), { random, roles: ['boot', 'measure'] }), /no randomness/);
  assert.ok(!readdirSync(dir.path).some((name) => name.startsWith('half')));
});

test('an aborted run leaves nothing', async () => {
  const abort = new AbortController();
  let asked = 0;
  const random = (length: number): Uint8Array => {
    asked += 1;
    if (asked === 2) abort.abort();
    return new Uint8Array(length);
  };
  const running = initKeys(dir.file('stopped'), {
    random,
    signal: abort.signal,
    roles: ['boot', 'measure', 'exchange'],
  });
  await assert.rejects(running, { name: 'AbortError' });
  assert.ok(!readdirSync(dir.path).some((name) => name.startsWith('stopped')));
});

test(
  'a certificate made elsewhere has the role of its file name',
  { skip: judge('openssl') ? false : noJudge('openssl') },
  async () => {
    mkdirSync(dir.file('elsewhere'));
    const args = [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/CN=mkosi of somebody',
      '-keyout',
      'usr.key',
      '-out',
      'usr.pem',
    ];
    assert.equal(judge('openssl')?.run(args, { cwd: dir.file('elsewhere') }).status, 0);
    const ring = await loadKeyring(dir.file('elsewhere'));
    const p7s = await signRootHash(await ring.signer('usr'), 'cd'.repeat(32));
    assert.ok(
      allSignersGood(verifyRootHashSignature(p7s, 'cd'.repeat(32), { trusted: ring.certificates('usr') })),
    );
    await assert.rejects(signIpePolicy(await ring.signer('usr'), 'x'), code('wrong-role'));
  },
);

test('two runs at once: one wins, the other leaves nothing', async () => {
  const options = { roles: ['boot'] } as const;
  const results = await Promise.allSettled([1, 2].map(() => initKeys(dir.file('race'), options)));
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.deepEqual(
    readdirSync(dir.path).filter((name) => name.startsWith('race')),
    ['race'],
  );
});

test('every role is described, with what its thief could do', () => {
  const rows = describeKeys(keyring);
  assert.deepEqual(
    rows.map(({ role }) => role),
    [...keyRoles],
  );
  const boot = rows.find(({ role }) => role === 'boot');
  assert.equal(boot?.subject, 'CN=osguard boot');
  assert.equal(boot?.algorithm, 'RSA-2048');
  assert.equal(boot?.notBefore, '2026-11-22T01:02:03.000Z');
  assert.equal(boot?.notAfter, '2036-11-19T01:02:03.000Z');
  assert.match(boot?.fingerprint ?? '', /^[0-9a-f]{64}$/);
  const usr = rows.find(({ role }) => role === 'usr');
  assert.match(usr?.abuse['6.12'] ?? '', /a UKI that boots/);
  assert.match(usr?.abuse['7.x'] ?? '', /cannot sign a boot image/);
  assert.ok(!JSON.stringify(rows).includes('PRIVATE'));
});

test(
  'openssl reads the certificates as what they are',
  { skip: judge('openssl') ? false : noJudge('openssl') },
  () => {
    const text = judge('openssl')?.run(['x509', '-in', `${folder}/boot.crt`, '-noout', '-text']).stdout ?? '';
    assert.match(text, /Basic Constraints: critical\n\s+CA:FALSE/);
    assert.match(text, /Key Usage: critical\n\s+Digital Signature\n/);
    assert.match(text, /Extended Key Usage: \n\s+Code Signing/);
    assert.match(text, /Serial Number:\n\s+47:07:07:07/);
    const verified = judge('openssl')?.run([
      'verify',
      '-CAfile',
      `${folder}/usr.crt`,
      '-check_ss_sig',
      `${folder}/usr.crt`,
    ]);
    assert.equal(verified?.status, 0, verified?.stderr);
  },
);

test('a role signs its own things only', async () => {
  const rootHash = 'ab'.repeat(32);
  const payload = Buffer.from('a release');
  for (const role of keyRoles) {
    const signer = await keyring.signer(role);
    const trusted = [signer.certificate];
    if (role === 'usr' || role === 'layers') {
      const p7s = await signRootHash(signer, rootHash);
      assert.ok(allSignersGood(verifyRootHashSignature(p7s, rootHash, { trusted })));
    } else {
      await assert.rejects(signRootHash(signer, rootHash), code('wrong-role'));
    }
    if (role === 'release') {
      const envelope = parseDsse(await signDsse(signer, { payloadType: 'text/plain', payload }));
      assert.deepEqual(Buffer.from(envelope.payload), payload);
      assert.deepEqual(verifyDsse(envelope, [certificateDsseKey(signer.certificate)]).signedBy, [
        'CN=osguard release',
      ]);
    } else {
      await assert.rejects(signDsse(signer, { payloadType: 'text/plain', payload }), code('wrong-role'));
    }
    if (role === 'boot') {
      const p7b = await signIpePolicy(signer, 'policy_name=x policy_version=0.0.0\n');
      assert.ok(allSignersGood(verifyIpePolicySignature(p7b, { trusted }).signers));
    } else {
      await assert.rejects(signIpePolicy(signer, 'policy_name=x policy_version=0.0.0\n'), code('wrong-role'));
    }
  }
});

test('a certificate under the name of another role is refused, wherever it comes from', async () => {
  mkdirSync(dir.file('mixed'));
  copyFileSync(`${folder}/boot.crt`, dir.file('mixed/usr.crt'));
  await assert.rejects(loadKeyring(dir.file('mixed')), code('wrong-role'));
  const boot = await keyring.signer('boot');
  const disguised = { ...boot, role: 'usr' } as const;
  assert.throws(() => assertRole(disguised, { roles: ['usr'], what: 'a root hash' }), code('wrong-role'));
});

test('a folder of certificates verifies but does not sign; keys others may read are refused', async () => {
  mkdirSync(dir.file('trust'));
  copyFileSync(`${folder}/layers.crt`, dir.file('trust/layers.crt'));
  copyFileSync(`${folder}/layers.der`, dir.file('trust/layers-team-a.cer'));
  const trust = await loadKeyring(dir.file('trust'));
  assert.deepEqual(
    trust.entries.map(({ name }) => name),
    ['layers', 'layers-team-a'],
  );
  assert.equal(trust.certificates('layers').length, 2);
  assert.throws(() => trust.certificate('boot'), code('missing'));
  await assert.rejects(trust.signer('layers'), code('missing'));
  copyFileSync(`${folder}/layers.key`, dir.file('trust/layers.key'));
  chmodSync(dir.file('trust/layers.key'), 0o640);
  await assert.rejects(trust.signer('layers'), code('exposed'));
  copyFileSync(`${folder}/usr.key`, dir.file('trust/layers-team-a.key'));
  await assert.rejects(trust.signer('layers', 'layers-team-a'), code('invalid'));
  await assert.rejects(loadKeyring(dir.file('nothing')), code('missing'));
  writeFileSync(dir.file('trust/boot.crt'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  await assert.rejects(loadKeyring(dir.file('trust')), code('invalid'));
});

signerContract('file signer', async () => {
  const pem = readFileSync(`${folder}/usr.key`, 'utf8');
  const { d = '', p = '' } = createPrivateKey(pem).export({ format: 'jwk' });
  return { signer: await keyring.signer('usr'), secrets: [d, p, pem.split('\n')[3] ?? ''] };
});
