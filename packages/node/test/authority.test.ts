import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { planSignedData, rootHashContent } from '@osguard/formats/cms';
import { encodeLayerRevocations, layerRevocationsType } from '@osguard/formats/layer';
import type { LayerRevocations } from '@osguard/formats/layer';
import type { Certificate } from '@osguard/formats/x509';
import { parseCertificate, planCertificate } from '@osguard/formats/x509';
import type { Keyring } from '@osguard/keys';
import { initKeys, loadKeyring, signDsse, signRootHash } from '@osguard/keys';
import { scratch } from '@osguard/testkit';
import { CertificateLayerAuthority } from '../src/snapshotter/authority.ts';
import { Revocations } from '../src/snapshotter/revocations.ts';

const rootHash = 'ab'.repeat(32);

async function keys(folder: string, name: string): Promise<Keyring> {
  const rsaBits = { usr: 2048, layers: 2048 } as const;
  await initKeys(folder, { name, roles: ['usr', 'layers', 'release'], rsaBits });
  return loadKeyring(folder);
}

async function list(keyring: Keyring, parts: Partial<LayerRevocations>): Promise<Uint8Array> {
  const payload = encodeLayerRevocations({
    version: 1,
    issued: '2026-01-01T00:00:00Z',
    rootHashes: [],
    signers: [],
    ...parts,
  });
  return signDsse(await keyring.signer('release'), { payloadType: layerRevocationsType, payload });
}

void test('only a certificate for layers counts, and only what was not revoked', async () => {
  using dir = scratch('authority');
  const own = await keys(dir.file('own'), 'own');
  const foreign = await keys(dir.file('foreign'), 'foreign');
  const log: string[] = [];
  const source = dir.file('list');
  const options = {
    release: own.certificate('release'),
    sources: [source],
    kept: dir.file('kept'),
    log: (line: string) => void log.push(line),
  };
  const revocations = new Revocations(options);
  const authority = new CertificateLayerAuthority({ signers: [own.certificate('layers')], revocations });
  const good = await signRootHash(await own.signer('layers'), rootHash);
  const ofUsr = await signRootHash(await own.signer('usr'), rootHash);
  const ofStranger = await signRootHash(await foreign.signer('layers'), rootHash);
  const accepts = (signature: Uint8Array | undefined): void => authority.assertAccepted(rootHash, signature);

  accepts(good);
  // That it was good says nothing of one that differs, and nothing of another root hash.
  const changed = Uint8Array.from(good);
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  assert.throws(() => accepts(changed), /does not verify/);
  assert.throws(() => authority.assertAccepted('cd'.repeat(32), good), /does not verify/);
  accepts(good);
  // The kernel would take this one: the signer of /usr is in its keyring.
  assert.throws(() => accepts(ofUsr), /may not sign layers/);
  assert.throws(() => accepts(ofStranger), /may not sign layers/);
  assert.throws(() => accepts(Uint8Array.of(0x30, 0)), /cannot be read/);

  writeFileSync(source, await list(foreign, { version: 9, rootHashes: [{ rootHash, reason: 'x' }] }));
  accepts(good);
  assert.match(log.at(-1) ?? '', /not signed by the role release/);

  const revoked = await list(own, { version: 5, rootHashes: [{ rootHash, reason: 'CVE-2026-1' }] });
  writeFileSync(source, revoked);
  assert.throws(() => accepts(good), /was revoked: CVE-2026-1/);
  assert.throws(() => accepts(undefined), /was revoked/, 'with mode audit too');

  // An older list, well signed: what somebody would put there to get the layer back.
  writeFileSync(source, await list(own, { version: 4 }));
  assert.throws(() => accepts(good), /was revoked/);
  assert.match(log.at(-1) ?? '', /version 4; version 5 stays/);
  const later = new Revocations(options);
  assert.equal(later.version, 5, 'kept beyond the process');

  const { fingerprint } = own.certificate('layers');
  writeFileSync(source, await list(own, { version: 6, signers: [{ fingerprint, reason: 'key lost' }] }));
  assert.throws(() => accepts(good), /who signed .* was revoked: key lost/);
  writeFileSync(source, await list(own, { version: 7 }));
  accepts(good);
  writeFileSync(source, 'rubbish');
  accepts(good);
  assert.match(log.at(-1) ?? '', /is not taken/);
});

/** Signed by a thief's own key, with his certificate inside that carries the name and number of `victim`. */
function disguised(victim: Certificate): Uint8Array {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const plan = planCertificate({
    commonName: 'thief',
    serial: victim.serial,
    notBefore: victim.notBefore,
    notAfter: victim.notAfter,
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    keyKind: 'rsa',
    digestAlgorithm: 'sha256',
    issuer: { name: victim.issuer, keyKind: 'rsa' },
    extensions: [],
  });
  // Whoever the kernel trusts signs the certificate; who that is makes no difference here.
  const certificate = parseCertificate(plan.finish(sign('sha256', plan.toSign, privateKey)));
  const message = planSignedData({
    signer: certificate,
    digestAlgorithm: 'sha256',
    content: { kind: 'detached', bytes: rootHashContent(rootHash) },
    signedAttributes: false,
    certificates: [certificate],
    envelope: 'content-info',
  });
  return message.finish(sign('sha256', message.toSign, privateKey));
}

void test('a signer is known by the key, not by the name in the message', async () => {
  using dir = scratch('authority');
  const own = await keys(dir.file('own'), 'own');
  const signers = [own.certificate('layers')];
  const release = own.certificate('release');
  const revocations = new Revocations({
    release,
    sources: [],
    kept: dir.file('kept'),
    log: () => undefined,
  });
  const authority = new CertificateLayerAuthority({ signers, revocations });
  const good = await signRootHash(await own.signer('layers'), rootHash);
  authority.assertAccepted(rootHash, good);
  assert.throws(
    () => authority.assertAccepted(rootHash, disguised(own.certificate('layers'))),
    /does not verify/,
  );
  assert.throws(() => authority.assertAccepted('cd'.repeat(32), good), /does not verify/);
});

void test('a list of revoked layers that cannot be read or kept is not passed over', async () => {
  using dir = scratch('revocations');
  const own = await keys(dir.file('own'), 'own');
  const source = dir.file('list');
  const kept = dir.file('kept');
  const release = own.certificate('release');
  const revocations = new Revocations({ release, sources: [source], kept, log: () => undefined });
  const refresh = (): void => revocations.refresh();
  mkdirSync(source);
  assert.throws(refresh, /is no file/);
  assert.throws(refresh, /is no file/, 'nor the second time');
  rmdirSync(source);

  const bytes = await list(own, { version: 3, rootHashes: [{ rootHash, reason: 'x' }] });
  writeFileSync(source, bytes);
  mkdirSync(`${kept}.new`);
  assert.throws(refresh, /EISDIR/);
  assert.throws(refresh, /EISDIR/);
  rmdirSync(`${kept}.new`);
  refresh();
  assert.equal(revocations.rootHash(rootHash), 'x');
  assert.deepEqual(new Uint8Array(readFileSync(kept)), new Uint8Array(bytes));
});
