/** Virtual TPMs as their manufacturer leaves them, without a machine around them. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { toHex } from '@osguard/formats/bytes';
import { ekCertificateUsage, makeCredential, parseEkCertificate } from '@osguard/formats/tpm2';
import { encodePem, parseCertificate, validatePath } from '@osguard/formats/x509';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { activate, attestationKey, endorsementKey } from '@osguard/tpm';
import type { Tools } from '../src/index.ts';
import {
  authorityCertificateFile,
  clearTpm,
  manufactureTpm,
  openTpmAuthority,
  readTpmPassport,
  temporaryTpmAuthority,
  withTpm,
} from '../src/index.ts';

const swtpm = judge('swtpm');
const openssl = judge('openssl');

/** This machine's own swtpm, without asking for a whole tool set. */
const tools: Tools = {
  origins: new Map(),
  path: [],
  command: (_, args) => ({ file: swtpm?.path ?? 'swtpm', args, env: {} }),
  file: (path) => path,
};

const skip = swtpm === undefined ? noJudge('swtpm') : false;

describe('a manufactured TPM', { skip, timeout: 120_000 }, () => {
  it('has a certificate that chains to its authority and says what it is for', async () => {
    using folder = scratch('manufacture');
    const authority = openTpmAuthority(folder.file('authority'));
    const { ek, certificates } = await manufactureTpm(tools, { state: folder.file('state'), authority });
    const [leaf] = certificates;
    assert.ok(leaf);
    const parsed = parseEkCertificate(leaf);
    assert.deepEqual(parsed.extendedKeyUsages, [ekCertificateUsage]);
    assert.equal(parsed.manufacturer, 'id:00001014');
    assert.equal(parsed.model, 'swtpm');
    const anchors = [parseCertificate(authority.certificate)];
    const verdict = validatePath(parsed.certificate, { anchors, others: [], now: Date.now() });
    assert.ok(verdict.ok);
    const strangers = [parseCertificate(temporaryTpmAuthority().certificate)];
    const other = validatePath(parsed.certificate, { anchors: strangers, others: [], now: Date.now() });
    assert.ok(!other.ok);
    // The same authority, and the same TPM, the next time.
    assert.deepEqual(openTpmAuthority(folder.file('authority')).certificate, authority.certificate);
    assert.deepEqual(await readTpmPassport(tools, folder.file('state')), { ek, certificates });
    if (openssl === undefined) return;
    writeFileSync(folder.file('leaf.pem'), encodePem('CERTIFICATE', leaf));
    const ca = folder.file(`authority/${authorityCertificateFile}`);
    const done = openssl.run(['verify', '-x509_strict', '-CAfile', ca, folder.file('leaf.pem')]);
    assert.equal(done.status, 0, done.stderr);
  });

  it('keeps its endorsement key and loses its attestation key when it is cleared', async () => {
    using folder = scratch('clear');
    const state = folder.file('state');
    const made = await manufactureTpm(tools, { state, authority: temporaryTpmAuthority() });
    const name = async (): Promise<string> =>
      withTpm(tools, state, async (tpm) => toHex((await attestationKey(tpm)).name));
    const before = await name();
    assert.equal(await name(), before);
    await clearTpm(tools, state);
    assert.notEqual(await name(), before);
    assert.deepEqual(await readTpmPassport(tools, state), made);
    await withTpm(tools, state, async (tpm) => {
      const ek = await endorsementKey(tpm);
      const object = await attestationKey(tpm);
      const secret = randomBytes(32);
      const credential = makeCredential(ek.area, { name: object.name, secret, random: randomBytes });
      assert.equal(toHex(await activate(tpm, credential, { ek, object })), toHex(secret));
    });
  });

  it('is another one in another state folder', async () => {
    using folder = scratch('others');
    const authority = temporaryTpmAuthority();
    const [a, b] = [folder.file('a'), folder.file('b')];
    const first = await manufactureTpm(tools, { state: a, authority });
    const second = await manufactureTpm(tools, { state: b, authority });
    assert.notEqual(first.ek, second.ek);
  });

  it('the authority keeps its key to itself and says when half of it is gone', () => {
    using folder = scratch('authority');
    openTpmAuthority(folder.path);
    assert.equal(statSync(folder.file('tpm-authority.key')).mode & 0o777, 0o600);
    rmSync(folder.file('tpm-authority.key'));
    assert.throws(() => openTpmAuthority(folder.path), { code: 'bad-option' });
  });
});
