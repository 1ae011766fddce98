/** What operators may, each by role; what they are told, and what nobody is. */

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { allRoutes } from '../src/service/index.ts';
import { openOperatorClient, verifyChain } from '../src/client/index.ts';
import { nodesAnswerSchema, operatorRoles } from '@osguard/attest/protocol';
import { createToken } from '../src/service/index.ts';
import { enrolModel, modelNode, modelTlsKey, proveModel, startRig } from './verifier-rig.ts';
import type { Rig } from './verifier-rig.ts';

const routes = allRoutes(() => ({}));

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`never: ${what}`);
}

async function trustedRig(options: Parameters<typeof startRig>[0] = {}): Promise<Rig> {
  const rig = await startRig(options);
  await rig.prepare();
  using node = rig.client(modelTlsKey);
  assert.equal((await enrolModel(node)).status, 200);
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  return rig;
}

void test('every route wants the role it says, and the document says so', async () => {
  await using rig = await startRig({ limits: { address: { perSecond: 1000, burst: 10_000 } } });
  using stranger = rig.client();
  const clients = {
    viewer: await rig.operator('viewer'),
    operator: await rig.operator('operator'),
    admin: await rig.operator('admin'),
  };
  for (const { method, path, access } of routes) {
    if (access === 'public' || access === 'node' || path === '/v1/events') continue;
    const concrete = path.replace(':node', modelNode).replaceAll(/:id|:name/g, '0'.repeat(64));
    const what = `${method} ${path}`;
    assert.equal((await stranger.send(method, concrete)).json['reason'], 'unauthorised', what);
    for (const role of operatorRoles) {
      const { json } = await clients[role].send(method, concrete);
      const allowed = operatorRoles.indexOf(role) >= operatorRoles.indexOf(access);
      if (allowed) assert.notEqual(json['reason'], 'forbidden', `${what} as ${role}`);
      else assert.equal(json['reason'], 'forbidden', `${what} as ${role}`);
    }
  }
  for (const client of Object.values(clients)) client[Symbol.dispose]();
});

void test('the OpenAPI document describes every route, and its schemas are schemas', async () => {
  await using rig = await startRig();
  using client = rig.client();
  const { json } = await client.send('GET', '/openapi.json');
  const paths = json['paths'] as Record<string, Record<string, Record<string, unknown>>>;
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
  );
  assert.deepEqual(described.sort(), routes.map(({ method, path }) => `${method} ${path}`).sort());
  const ids = new Set<unknown>();
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'schema' && !('$ref' in (inner as object))) ajv.compile(inner as object);
      visit(inner);
    }
  };
  for (const methods of Object.values(paths)) {
    for (const operation of Object.values(methods)) {
      assert.ok(!ids.has(operation['operationId']), String(operation['operationId']));
      ids.add(operation['operationId']);
      assert.ok(operation['security'] !== undefined && operation['responses'] !== undefined);
    }
  }
  visit(paths);
  // What the service answers is what the document says.
  const schemaOf = (path: string): object => {
    const responses = paths[path]?.['get']?.['responses'] as Record<
      string,
      { content: Record<string, { schema: object }> }
    >;
    return responses['200']?.content['application/json']?.schema ?? assert.fail(path);
  };
  using viewer = await rig.operator('viewer');
  for (const path of ['/v1/nodes', '/v1/releases', '/v1/secrets', '/v1/applicants', '/v1/decisions']) {
    const answer = (await viewer.send('GET', path)).json;
    const check = ajv.compile(schemaOf(path));
    assert.ok(check(answer), `${path}: ${JSON.stringify(check.errors)}`);
  }
});

void test('a token ends when it expires or is removed; only its hash is stored', async () => {
  await using rig = await startRig();
  using admin = await rig.operator('admin');
  const expires = new Date(rig.clock.now + 60_000).toISOString();
  const made = await admin.send('POST', '/v1/tokens', { name: 'ci', role: 'viewer', expires });
  const token = String(made.json['token']);
  const { id } = made.json['info'] as { id: string };
  const as = async (bearer: string): Promise<unknown> => {
    using client = rig.client();
    const { status } = await client.send('GET', '/v1/nodes', undefined, {
      authorization: `Bearer ${bearer}`,
    });
    return status;
  };
  assert.equal(await as(token), 200);
  assert.equal(await as(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`), 401);
  assert.equal(await as(''), 401);
  rig.clock.now += 60_000;
  assert.equal(await as(token), 401);
  rig.clock.now -= 60_000;
  assert.equal(await as(token), 200);
  assert.equal((await admin.send('DELETE', `/v1/tokens/${id}`)).status, 200);
  assert.equal(await as(token), 401);
  assert.ok(!JSON.stringify(rig.lines).includes(token));
  const decisions = await rig.verifier.store.decisions.list({ after: 0, limit: 100 });
  assert.ok(!JSON.stringify(decisions).includes(token.slice(5)));
});

void test('an operator sees the fleet, and his client reads it', async () => {
  await using rig = await trustedRig();
  const now = rig.clock.now;
  const made = { name: 'cli', role: 'operator', now, expires: null, actor: 'test' } as const;
  const { token } = await createToken(rig.verifier.store, made);
  const url = `https://127.0.0.1:${rig.verifier.port}`;
  using client = openOperatorClient({ url, ca: rig.ca, token });
  const { nodes } = await client.ask({ path: '/v1/nodes', answer: nodesAnswerSchema });
  assert.deepEqual(
    nodes.map(({ id, name, trust }) => [id, name, trust]),
    [[modelNode, 'worker-1', 'trusted']],
  );
  using foreign = openOperatorClient({ url, ca: undefined, token });
  await assert.rejects(foreign.ask({ path: '/v1/nodes', answer: nodesAnswerSchema }), {
    code: 'unreachable',
  });
  using wrong = openOperatorClient({ url, ca: rig.ca, token: 'osgv_x' });
  await assert.rejects(wrong.ask({ path: '/v1/nodes', answer: nodesAnswerSchema }), { code: 'not-allowed' });
  await assert.rejects(client.ask({ path: '/v1/tokens', answer: nodesAnswerSchema }), {
    code: 'not-allowed',
  });
  using admin = await rig.operator('admin');
  assert.equal((await admin.send('POST', `/v1/nodes/${modelNode}/suspension`)).status, 200);
  using node = rig.client(modelTlsKey);
  const { json } = await proveModel(node);
  assert.equal(json['verdict'], 'refused');
  const checks = json['checks'] as { id: string; ok: boolean }[];
  assert.deepEqual(
    checks.filter(({ ok }) => !ok).map(({ id }) => id),
    ['node-state'],
  );
  await admin.send('POST', `/v1/nodes/${modelNode}/resumption`);
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  assert.equal((await admin.send('DELETE', `/v1/nodes/${modelNode}`)).status, 200);
  assert.equal((await admin.send('GET', `/v1/nodes/${modelNode}`)).status, 404);
});

void test('changes arrive as events, also those that happened while nobody listened', async () => {
  await using rig = await trustedRig();
  using admin = await rig.operator('admin');
  const now = rig.clock.now;
  const made = { name: 'watch', role: 'viewer', now, expires: null, actor: 'test' } as const;
  const { token } = await createToken(rig.verifier.store, made);
  const stop = new AbortController();
  const endpoint = { url: `https://127.0.0.1:${rig.verifier.port}`, ca: rig.ca, token };
  using client = openOperatorClient(endpoint, { signal: stop.signal });
  const kinds: string[] = [];
  const reading = (async () => {
    for await (const line of client.lines('/v1/events', { after: 0 })) {
      if (line.startsWith('data: ')) kinds.push((JSON.parse(line.slice(6)) as { kind: string }).kind);
    }
  })();
  await until('the past', () => kinds.includes('evidence.trusted'));
  const releases = (await admin.send('GET', '/v1/releases')).json['releases'] as { id: string }[];
  await admin.send('POST', `/v1/releases/${releases[0]?.id}/state`, { state: 'revoked' });
  await until('the present', () => kinds.includes('release.revoked'));
  assert.deepEqual(kinds, [
    'policy.loaded',
    'release.added',
    'node.approved',
    'node.enrolled',
    'evidence.trusted',
    'release.revoked',
  ]);
  stop.abort();
  await assert.rejects(reading);
});

void test('webhooks are signed, tried again, and go on where they stopped', async () => {
  const received: { body: string; signature: string }[] = [];
  let failures = 2;
  const receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => {
      body += part.toString();
    });
    request.on('end', () => {
      failures -= 1;
      if (failures < 0) received.push({ body, signature: String(request.headers['osguard-signature']) });
      response.statusCode = failures < 0 ? 204 : 500;
      response.end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  receiver.unref();
  const { port } = receiver.address() as AddressInfo;
  await using rig = await startRig();
  using admin = await rig.operator('admin');
  const add = async (url: string): Promise<Record<string, unknown>> =>
    (await admin.send('POST', '/v1/webhooks', { url })).json;
  for (const url of ['http://example.com/', 'file:///etc/passwd', 'https://user:pass@example.com/', 'x']) {
    assert.equal((await add(url))['reason'], 'malformed', url);
  }
  const { key } = await add(`http://127.0.0.1:${port}/hook`);
  await rig.prepare();
  // The clock of the verifier stands still, so the pause after a failure has to be waited for by moving it.
  await until('delivered', () => {
    rig.clock.now += 1000;
    return received.length > 0;
  });
  const [first] = received;
  const [, seconds, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(first?.signature ?? '') ?? [];
  const own = createHmac('sha256', Buffer.from(String(key), 'base64')).update(`${seconds}.${first?.body}`);
  assert.equal(own.digest('hex'), mac);
  await admin.send('POST', `/v1/nodes/${'b'.repeat(64)}/approval`);
  const kinds = (): readonly string[] =>
    received.flatMap(({ body }) =>
      (JSON.parse(body) as { changes: { decision: { kind: string } }[] }).changes.map(
        ({ decision }) => decision.kind,
      ),
    );
  await until('the rest', () => kinds().length === 3);
  assert.deepEqual(kinds(), ['release.added', 'node.approved', 'node.approved']);
  const text = (await admin.send('GET', '/metrics')).bytes.toString();
  assert.match(text, /osguard_attest_webhook_deliveries_total\{outcome="failed"\} 2/);
});

void test('metrics count nodes by trust; the log holds no secret', async () => {
  await using rig = await trustedRig();
  using admin = await rig.operator('admin');
  await admin.send('PUT', '/v1/secrets/join?everyone=true', Buffer.from('hunter2-hunter2'));
  using node = rig.client(modelTlsKey);
  assert.equal((await node.send('GET', '/v1/secrets/join')).bytes.toString(), 'hunter2-hunter2');
  const text = (await admin.send('GET', '/metrics')).bytes.toString();
  assert.match(text, /osguard_attest_nodes\{trust="trusted"\} 1/);
  assert.match(text, /osguard_attest_evidence_total\{outcome="trusted"\} 1/);
  assert.match(text, /osguard_attest_secrets_total\{outcome="released"\} 1/);
  assert.match(text, /osguard_attest_store_up 1/);
  const decisions = await rig.verifier.store.decisions.list({ after: 0, limit: 100 });
  for (const all of [JSON.stringify(rig.lines), JSON.stringify(decisions), text]) {
    assert.ok(!all.includes('hunter2'));
    assert.ok(!all.includes('osgv_'));
  }
  assert.ok(decisions.some(({ body }) => body.includes('"kind":"secret.released"')));
});

void test('the chain of decisions is checked again, and shows every kind of change', async () => {
  await using rig = await trustedRig();
  const { store } = rig.verifier;
  const decisions = await store.decisions.list({ after: 0, limit: 100 });
  const head = await store.decisions.head();
  type Entries = readonly { readonly seq: number; readonly hash: string; readonly body: string }[];
  const verify = async (entries: Entries, known?: typeof head) =>
    verifyChain(
      (async function* () {
        yield* entries;
      })(),
      { head, known },
    );
  const failed = async (entries: Entries, known?: typeof head): Promise<readonly string[]> =>
    (await verify(entries, known)).checks.filter(({ ok }) => !ok).map(({ id }) => id);
  const good = await verify(decisions, head);
  assert.ok(good.ok, JSON.stringify(good.checks));
  assert.equal(good.kinds['evidence.trusted'], 1);
  const changed = decisions.map((one) =>
    one.seq === 3 ? { ...one, body: one.body.replace('"kind":"', '"kind":"un') } : one,
  );
  assert.deepEqual(await failed(changed), ['chain']);
  const { decisionHash } = await import('../src/store/index.ts');
  const rehashed = changed.map((one) => ({ ...one, hash: decisionHash(one.body) }));
  assert.deepEqual(await failed(rehashed), ['chain']);
  assert.deepEqual(await failed(decisions.toSpliced(2, 1)), ['order']);
  assert.deepEqual(await failed(decisions.slice(0, -1)), ['head']);
  assert.deepEqual(await failed(decisions.slice(0, -1), head), ['head', 'known-head']);
  assert.deepEqual(await failed([], head), ['head', 'known-head']);
  assert.deepEqual(await failed(decisions, { seq: 2, hash: '1'.repeat(64) }), ['known-head']);
  assert.deepEqual(await failed(decisions, { seq: 999, hash: '1'.repeat(64) }), ['known-head']);
});
