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
import type { Reply } from './verifier-rig.ts';
import { privateKey } from '../negative/model/keys.ts';

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
  assert.equal(
    (await admin.send('PUT', '/v1/secrets/join?everyone=true', Buffer.from('hunter2'))).status,
    200,
  );
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
    (await admin.send('PUT', `/v1/secrets/node.pem?everyone=true&kind=${kind}`, body)).status;
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

void test('a secret is named to, and fetched by, nodes in its scope only; a scope has to be said', async () => {
  await using rig = await startRig();
  await rig.prepare();
  using admin = await rig.operator();
  using node = rig.client(modelTlsKey);
  assert.equal((await enrolModel(node)).status, 200);
  const set = async (name: string, scope: string): Promise<Reply> =>
    admin.send('PUT', `/v1/secrets/${name}?${scope}`, Buffer.from('hunter2'));
  assert.match(String((await set('join', '')).json['message']), /say which nodes/);
  assert.equal((await set('join', 'everyone=true&label=db')).status, 400);
  assert.equal((await set('join', 'everyone=false')).status, 400);
  assert.equal((await set('join', `node=${modelNode.slice(1)}`)).status, 400);
  const labels = Array.from({ length: 65 }, (_, index) => `label=l${index}`).join('&');
  assert.equal((await set('join', labels)).status, 400);
  for (const [name, scope] of [
    ['all', 'everyone=true'],
    ['db', 'label=db'],
    ['mine', `node=${'ab'.repeat(32)}&node=${modelNode}`],
    ['newer', `node=${modelNode}&release=host@1.2`],
    ['others', `node=${'ab'.repeat(32)}`],
    ['web', 'label=web&label=db&release=host@1.0&release=host@1.1'],
  ] as const) {
    assert.equal((await set(name, scope)).status, 200, name);
  }
  const names = async (): Promise<unknown> => (await proveModel(node)).json['secrets'];
  const fetched = async (name: string): Promise<string> => {
    const { status, bytes, json } = await node.send('GET', `/v1/secrets/${name}`);
    return status === 200 ? bytes.toString() : String(json['reason']);
  };
  const release = String(
    ((await admin.send('GET', '/v1/releases')).json['releases'] as { name: string }[])[0]?.name,
  );
  assert.equal(
    (await set('web', `label=web&label=db&release=${release}@1.0&release=${release}@1.1`)).status,
    200,
  );
  assert.equal((await set('newer', `node=${modelNode}&release=${release}@1.2`)).status, 200);
  assert.deepEqual(await names(), ['all', 'mine']);
  for (const name of ['db', 'newer', 'others', 'web']) assert.equal(await fetched(name), 'not-found');
  assert.equal(await fetched('mine'), 'hunter2');
  const path = `/v1/nodes/${modelNode}/labels`;
  using operator = await rig.operator('operator');
  assert.equal((await operator.send('PUT', path, { labels: ['db'] })).json['reason'], 'forbidden');
  assert.equal((await admin.send('PUT', path, { labels: ['db', 'db'] })).status, 200);
  assert.deepEqual(await names(), ['all', 'db', 'mine', 'web']);
  assert.equal(await fetched('web'), 'hunter2');
  await admin.send('PUT', path, { labels: [] });
  assert.equal(await fetched('web'), 'not-found');
});

void test('the status of a token: active as long as the verifier trusts the node it names', async () => {
  await using rig = await startRig();
  const release = await rig.prepare();
  using admin = await rig.operator();
  using node = rig.client(modelTlsKey);
  await enrolModel(node);
  const token = String((await proveModel(node)).json['token']);
  using anybody = rig.client();
  const status = async (asked = token): Promise<Reply> =>
    anybody.send('GET', `/v1/tokens/status?token=${encodeURIComponent(asked)}`);
  const { json } = await status();
  assert.equal(json['active'], true);
  assert.equal(json['sub'], modelNode);
  assert.equal((json['release'] as { id: string }).id, release);
  assert.equal(Number(json['exp']) - Number(json['iat']), 360, 'six minutes unless a policy says otherwise');
  const inactive = { active: false };
  assert.deepEqual((await status(`${token.slice(0, -2)}AA`)).json, inactive);
  assert.deepEqual((await status('nonsense')).json, inactive);
  assert.equal((await status('')).status, 400);
  const state = async (to: string): Promise<unknown> =>
    (await admin.send('POST', `/v1/releases/${release}/state`, { state: to })).status;
  assert.equal(await state('revoked'), 200);
  assert.deepEqual((await status()).json, inactive, 'revoked, and at once');
  await state('promoted');
  assert.equal((await status()).json['active'], true);
  await admin.send('POST', `/v1/nodes/${modelNode}/suspension`);
  assert.deepEqual((await status()).json, inactive);
  await admin.send('POST', `/v1/nodes/${modelNode}/resumption`);
  // Its agent started anew: another TLS key proved what it booted, and the one of the token no longer counts.
  using again = rig.client(privateKey('otherTls'));
  const fresh = await proveModel(again, { tlsKey: 'otherTls' });
  assert.equal(fresh.json['verdict'], 'trusted');
  assert.deepEqual((await status()).json, inactive);
  assert.equal((await status(String(fresh.json['token']))).json['active'], true);
  rig.clock.now += 360_000;
  assert.deepEqual((await status(String(fresh.json['token']))).json, inactive);
});
