/** What strangers and liars may try, and that they learn nothing and change nothing. */

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { attestationKeyArea } from '../negative/model/tpm.ts';
import {
  beginModel,
  enrolModel,
  modelEvidence,
  modelNode,
  modelTlsKey,
  newTlsKey,
  proveModel,
  startRig,
} from './verifier-rig.ts';
import type { Client, Reply, Rig } from './verifier-rig.ts';

/** As after TPM2_Clear. */
const otherKey = attestationKeyArea('otherAttestationKey');

async function trustedRig(): Promise<Rig> {
  const rig = await startRig();
  await rig.prepare();
  using node = rig.client(modelTlsKey);
  assert.equal((await enrolModel(node)).status, 200);
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  return rig;
}

async function trustNow({ verifier, clock }: Rig): Promise<string | undefined> {
  return (await verifier.store.nodes.detail(modelNode, clock.now))?.trust;
}

async function nonceFor(node: Client): Promise<string> {
  const { json } = await node.send('POST', '/v1/nonces', { node: modelNode, purpose: 'evidence' });
  return String(json['nonce']);
}

const onlyReason = (reply: Reply, reason: string): void => {
  assert.deepEqual(reply.json, { reason }, reply.bytes.toString().slice(0, 300));
};

void test('strangers get a reason code and nothing else', async () => {
  await using rig = await startRig();
  using stranger = rig.client();
  const post = async (path: string, body: unknown): Promise<Reply> => stranger.send('POST', path, body);
  onlyReason(await stranger.send('GET', '/admin'), 'not-found');
  onlyReason(await stranger.send('GET', '/v1/nodes'), 'unauthorised');
  onlyReason(await stranger.send('DELETE', '/v1/nonces'), 'not-found');
  onlyReason(await post('/v1/nonces', { node: modelNode, purpose: 'evidence' }), 'unknown-node');
  onlyReason(await post('/v1/nonces', { node: modelNode, purpose: 'other' }), 'malformed');
  onlyReason(await post('/v1/nonces', { node: modelNode, purpose: 'evidence', more: 1 }), 'malformed');
  onlyReason(await post('/v1/nonces', Buffer.from('{"node":')), 'malformed');
  onlyReason(await post('/v1/nonces', Buffer.from([0x22, 0xff, 0x22])), 'malformed');
  onlyReason(await post('/v1/nonces', Buffer.from(`${'['.repeat(5000)}${']'.repeat(5000)}`)), 'malformed');
  onlyReason(await post('/v1/nonces', Buffer.alloc(70_000, 0x20)), 'too-large');
  onlyReason(await post('/v1/evidence', Buffer.alloc(1_100_000, 0x20)), 'too-large');
  onlyReason(await post('/v1/evidence', Buffer.from('['.repeat(500_000))), 'malformed');
  onlyReason(await post('/v1/enrolments/x/activation', { secret: 'AAAA' }), 'activation-refused');
  onlyReason(
    await post('/v1/enrolments', { ek: '', ekCertificates: [], ak: '', name: 'x' }),
    'endorsement-refused',
  );
  onlyReason(await stranger.send('GET', '/v1/secrets/..%2f..%2fetc'), 'malformed');
  onlyReason(await stranger.send('GET', `/v1/secrets/${'a'.repeat(500)}`), 'malformed');
  const { headers } = await stranger.send('GET', '/v1/nodes');
  assert.equal(headers['server'], undefined);
  assert.equal(headers['x-powered-by'], undefined);
});

void test('evidence that may be anybody’s changes nothing about the node', async () => {
  await using rig = await trustedRig();
  using node = rig.client(modelTlsKey);
  // Broken signature, signed by somebody else, and made for another nonce.
  const nonce = await nonceFor(node);
  const broken = modelEvidence(nonce, {
    signature: (bytes) => Uint8Array.from(bytes, (byte, index) => (index === 20 ? byte ^ 1 : byte)),
  });
  onlyReason(await node.send('POST', '/v1/evidence', broken), 'evidence-refused');
  onlyReason(await node.send('POST', '/v1/evidence', modelEvidence(nonce)), 'nonce-refused');
  const other = await nonceFor(node);
  const stale = modelEvidence(Buffer.alloc(32, 1).toString('base64'), {
    evidence: (evidence) => ({ ...evidence, nonce: new Uint8Array(Buffer.from(other, 'base64')) }),
  });
  onlyReason(await node.send('POST', '/v1/evidence', stale), 'evidence-refused');
  onlyReason(await node.send('POST', '/v1/evidence', Buffer.from('{}')), 'malformed');
  assert.equal(await trustNow(rig), 'trusted');
  const decisions = await rig.verifier.store.decisions.list({ after: 0, limit: 100 });
  const rejected = decisions.filter(({ body }) => body.includes('"kind":"evidence.rejected"'));
  assert.equal(rejected.length, 2);
  assert.ok(rejected.every(({ change }) => !change));
});

void test('evidence counts on the connection of the key it names, once, and not twice at the same time', async () => {
  await using rig = await trustedRig();
  using node = rig.client(modelTlsKey);
  const evidence = modelEvidence(await nonceFor(node));
  using thief = rig.client(newTlsKey());
  onlyReason(await thief.send('POST', '/v1/evidence', evidence), 'channel-refused');
  using bare = rig.client();
  onlyReason(await bare.send('POST', '/v1/evidence', evidence), 'channel-refused');
  const fresh = modelEvidence(await nonceFor(node));
  const clients = Array.from({ length: 8 }, () => rig.client(modelTlsKey));
  const replies = await Promise.all(
    clients.map(async (client) => client.send('POST', '/v1/evidence', fresh)),
  );
  for (const client of clients) client[Symbol.dispose]();
  assert.equal(replies.filter(({ status }) => status === 200).length, 1);
  assert.ok(
    replies.every(({ status, json }) => status === 200 || /busy|nonce-refused/.test(String(json['reason']))),
  );
  onlyReason(await node.send('POST', '/v1/evidence', fresh), 'nonce-refused');
});

void test('a TLS key of another kind is refused as such; members of evidence may come in any order', async () => {
  await using rig = await startRig();
  await rig.prepare();
  for (const key of [
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  ]) {
    using node = rig.client(key);
    const refused = await node.send('POST', '/v1/evidence', modelEvidence('A'.repeat(43) + '='));
    assert.equal(refused.status, 400);
    onlyReason(refused, 'tls-key-refused');
  }
  using node = rig.client(modelTlsKey);
  await enrolModel(node);
  const { json } = await node.send('POST', '/v1/nonces', { node: modelNode, purpose: 'evidence' });
  const usual = JSON.parse(Buffer.from(modelEvidence(String(json['nonce']))).toString()) as Record<
    string,
    unknown
  >;
  const turned = Object.fromEntries(Object.entries(usual).toReversed());
  const proved = await node.send('POST', '/v1/evidence', Buffer.from(JSON.stringify(turned, undefined, 2)));
  assert.equal(proved.json['verdict'], 'trusted');
});

void test('an enrolment has one try, and a foreign attestation key does not replace the known one', async () => {
  await using rig = await trustedRig();
  using node = rig.client(modelTlsKey);
  onlyReason(await enrolModel(node, 'worker-1', otherKey), 'reenrolment-needed');
  using operator = await rig.operator('operator');
  await operator.send('POST', `/v1/nodes/${modelNode}/reenrolment`);
  assert.equal((await enrolModel(node, 'worker-1', otherKey)).status, 200);
  assert.equal(await trustNow(rig), 'new');
  onlyReason(await proveModel(node), 'evidence-refused');
  onlyReason(await enrolModel(node), 'reenrolment-needed');
});

void test('enrolments that are begun and not ended are bounded, and so are nonces and addresses', async () => {
  await using rig = await startRig({
    limits: {
      enrolmentsPerAddress: 2,
      noncesPerNode: 3,
      address: { perSecond: 0.1, burst: 60 },
      node: { perSecond: 1, burst: 50 },
    },
  });
  await rig.prepare();
  using node = rig.client(modelTlsKey);
  assert.equal((await beginModel(node)).status, 201);
  assert.equal((await beginModel(node)).status, 201);
  onlyReason(await beginModel(node), 'busy');
  rig.clock.now += 400_000;
  assert.equal((await enrolModel(node)).status, 200, 'those that ran out make room');
  const nonce = async (): Promise<Reply> =>
    node.send('POST', '/v1/nonces', { node: modelNode, purpose: 'evidence' });
  const nonces = [await nonce(), await nonce(), await nonce(), await nonce()];
  assert.deepEqual(
    nonces.map(({ status }) => status),
    [200, 200, 200, 429],
  );
  for (let count = 0; count < 60; count += 1) await node.send('GET', '/openapi.json');
  const limited = await node.send('GET', '/openapi.json');
  onlyReason(limited, 'rate-limited');
  assert.equal(limited.status, 429);
  assert.match(String(limited.headers['retry-after']), /^\d+$/);
  assert.equal((await node.send('GET', '/healthz')).status, 200, 'probes go on');
});

void test('a node that keeps asking is slowed down, others are not', async () => {
  await using rig = await startRig({ limits: { node: { perSecond: 0.01, burst: 4 } } });
  await rig.prepare();
  using node = rig.client(modelTlsKey);
  await enrolModel(node);
  const ask = async (id: string): Promise<Reply> =>
    node.send('POST', '/v1/nonces', { node: id, purpose: 'evidence' });
  for (let count = 0; count < 4; count += 1) assert.equal((await ask(modelNode)).status, 200);
  onlyReason(await ask(modelNode), 'rate-limited');
  onlyReason(await ask('a'.repeat(64)), 'unknown-node');
});

const untilClosed = async (begin: (done: () => void) => void): Promise<number> => {
  const started = performance.now();
  await new Promise<void>((resolve) => begin(resolve));
  return performance.now() - started;
};

void test('who does not speak, or speaks slowly, is let go', async () => {
  await using rig = await startRig({ times: { request: 600, headers: 400, idle: 300 } });
  const { port } = rig.verifier;
  const silent = await untilClosed((done) => {
    connectTcp(port, '127.0.0.1')
      .on('error', () => undefined)
      .on('close', done)
      .resume();
  });
  const slow = await untilClosed((done) => {
    const socket = connectTls({ port, host: '127.0.0.1', ca: rig.ca }, () => {
      socket.write('POST /v1/nonces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
    });
    socket
      .on('error', () => undefined)
      .on('close', done)
      .resume();
  });
  assert.ok(silent < 5000, `${silent} ms`);
  assert.ok(slow < 5000, `${slow} ms`);
});

void test('older TLS is not spoken, and sessions are not resumed', async () => {
  await using rig = await startRig();
  const { port } = rig.verifier;
  const outcome = await new Promise<string>((resolve) => {
    const socket = connectTls({ port, host: '127.0.0.1', ca: rig.ca, maxVersion: 'TLSv1.2' }, () =>
      resolve('met'),
    );
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  assert.notEqual(outcome, 'met');
  const meet = async (session?: Buffer): Promise<{ reused: boolean; session: Buffer | undefined }> =>
    new Promise((resolve) => {
      let last: Buffer | undefined;
      const socket = connectTls({ port, host: '127.0.0.1', ca: rig.ca, ...(session && { session }) });
      socket.on('session', (given: Buffer) => {
        last = given;
      });
      let reused = true;
      socket.on('secureConnect', () => {
        reused = socket.isSessionReused();
      });
      socket.on('close', () => resolve({ reused, session: last })).resume();
      socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    });
  const { session } = await meet();
  assert.equal((await meet(session)).reused, false);
});
