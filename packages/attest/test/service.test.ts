import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { verifyToken } from '@osguard/attest';
import type { JsonWebKeySet } from '@osguard/attest';
import {
  enrolModel,
  modelNode,
  modelTlsKey,
  modelTlsSpki,
  newTlsKey,
  proveModel,
  startRig,
} from './verifier-rig.ts';

void test('a machine enrols, is trusted, gets its secret, and loses it when its release is revoked', async () => {
  await using rig = await startRig();
  using admin = await rig.operator();
  using node = rig.client(modelTlsKey);
  assert.equal((await enrolModel(node)).json['reason'], 'endorsement-refused', 'nobody vouched for it');
  const applicants = (await admin.send('GET', '/v1/applicants')).json['applicants'] as { node: string }[];
  assert.deepEqual(
    applicants.map((one) => one.node),
    [modelNode],
  );
  const release = await rig.prepare();
  assert.deepEqual((await enrolModel(node)).json, { node: modelNode });
  assert.equal((await admin.send('PUT', '/v1/secrets/join', Buffer.from('hunter2'))).status, 200);
  assert.equal((await node.send('GET', '/v1/secrets/join')).json['reason'], 'not-trusted');

  const { status, json } = await proveModel(node);
  assert.equal(status, 200, JSON.stringify(json));
  assert.equal(json['verdict'], 'trusted', JSON.stringify(json));
  assert.deepEqual(json['secrets'], ['join']);
  const jwks = (await node.send('GET', '/.well-known/jwks.json')).json as unknown as JsonWebKeySet;
  const claims = verifyToken(String(json['token']), jwks, {
    now: rig.clock.now,
    issuer: 'https://verifier.example',
    tlsKey: modelTlsSpki,
  });
  assert.equal(claims.sub, modelNode);

  const secret = await node.send('GET', '/v1/secrets/join');
  assert.equal(secret.bytes.toString(), 'hunter2');
  assert.equal(secret.headers['content-type'], 'application/octet-stream');
  using other = rig.client(newTlsKey());
  assert.equal((await other.send('GET', '/v1/secrets/join')).json['reason'], 'not-trusted');
  using nobody = rig.client();
  assert.equal((await nobody.send('GET', '/v1/secrets/join')).json['reason'], 'channel-refused');

  const verdict = async (): Promise<unknown> =>
    (await admin.send('GET', `/v1/verdict?node=${modelNode}`)).json['trust'];
  assert.equal(await verdict(), 'trusted');
  await admin.send('POST', `/v1/releases/${release}/state`, { state: 'revoked' });
  assert.equal(await verdict(), 'release');
  assert.equal((await node.send('GET', '/v1/secrets/join')).json['reason'], 'not-trusted');
  const again = await proveModel(node);
  assert.equal(again.json['verdict'], 'refused');
  assert.equal(again.json['token'], null);
  assert.equal(await verdict(), 'refused');
  await admin.send('POST', `/v1/releases/${release}/state`, { state: 'promoted' });
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
});

void test('a trusted node gets a certificate for its TLS key that ends with the verdict', async () => {
  await using rig = await startRig();
  await rig.prepare();
  using admin = await rig.operator();
  using node = rig.client(modelTlsKey);
  await enrolModel(node);
  const set = async (kind: string, body?: Buffer): Promise<number> =>
    (await admin.send('PUT', `/v1/secrets/node.pem?kind=${kind}`, body)).status;
  assert.equal(await set('certificate', Buffer.from('x')), 400);
  assert.equal(await set('bytes'), 400);
  assert.equal(await set('certificate'), 200);
  assert.equal((await node.send('GET', '/v1/secrets/node.pem')).json['reason'], 'not-trusted');
  const { json } = await proveModel(node);
  assert.deepEqual(json['secrets'], ['node.pem']);
  const pem = (await node.send('GET', '/v1/secrets/node.pem')).bytes.toString();
  const leaf = new X509Certificate(pem);
  const authority = new X509Certificate((await node.send('GET', '/v1/node-authority')).bytes);
  assert.ok(leaf.verify(authority.publicKey));
  assert.ok(leaf.checkIssued(authority));
  assert.equal(leaf.ca, false);
  assert.equal(leaf.subjectAltName, `URI:urn:osguard:node:${modelNode}`);
  assert.deepEqual(
    new Uint8Array(leaf.publicKey.export({ format: 'der', type: 'spki' })),
    new Uint8Array(modelTlsSpki),
  );
  assert.equal(leaf.validToDate.getTime(), Math.floor(Date.parse(String(json['expires'])) / 1000) * 1000);
});
