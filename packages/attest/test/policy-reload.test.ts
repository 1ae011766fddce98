/** A policy that changes while the verifier runs: what counts then, what ends, what is said of one with a mistake. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodePem } from '@osguard/formats/x509';
import { initKeys } from '@osguard/keys';
import { scratch } from '@osguard/testkit';
import { settleEnrolment, enrolmentLies, goodEnrolment } from '../negative/enrolment.ts';
import { goodPolicy, node as modelNode } from '../negative/model/baseline.ts';
import { certificates, goodBoot, release } from '../negative/model/boot.ts';
import { serveVerifier } from '../src/service/index.ts';
import type { ServedVerifier, ServeOptions } from '../src/service/index.ts';
import type { Policy } from '../src/policy/types.ts';
import {
  connectTo,
  enrolModel,
  modelNow,
  modelTlsKey,
  newTlsKey,
  proveModel,
  startRig,
} from './verifier-rig.ts';
import type { Rig } from './verifier-rig.ts';

async function trustedRig(): Promise<Rig> {
  const rig = await startRig();
  await rig.prepare();
  using node = rig.client(modelTlsKey);
  assert.equal((await enrolModel(node)).status, 200);
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  return rig;
}

const trustOf = async ({ verifier, clock }: Rig): Promise<unknown> =>
  (await verifier.store.nodes.detail(modelNode, clock.now))?.trust;

async function last(
  verifier: ServedVerifier | Rig['verifier'],
): Promise<{ kind: string; data: Record<string, unknown> }> {
  const { seq } = await verifier.store.decisions.head();
  const [decision] = await verifier.store.decisions.list({ after: seq - 1, limit: 1 });
  return JSON.parse(decision?.body ?? '') as { kind: string; data: Record<string, unknown> };
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`never: ${what}`);
}

void test('verdicts end when rules become stricter, and only then; by the new rules the node proves anew', async () => {
  await using rig = await trustedRig();
  const policy = goodPolicy();
  const { firmware } = policy;
  const use = async (change: Partial<Policy>): Promise<unknown> => {
    await rig.verifier.usePolicy({ ...policy, ...change });
    return trustOf(rig);
  };
  assert.equal(await use({ name: 'other', firmware: { ...firmware, dbx: [] } }), 'trusted');
  assert.equal(await use({ minimumVersion: '1.0', rollbackProtection: false }), 'trusted');
  assert.equal(
    await use({ firmware: { ...firmware, dbx: [] } }),
    'trusted',
    'the verdict was made by stricter rules',
  );
  assert.equal(await use({ firmware: { ...firmware, dbx: [...firmware.dbx, 'ab'.repeat(32)] } }), 'expired');
  assert.equal((await last(rig.verifier)).data['verdictsEnded'], 1);
  using node = rig.client(modelTlsKey);
  assert.equal((await proveModel(node)).json['verdict'], 'refused');
  assert.equal(await use({}), 'refused', 'nothing becomes trusted because a policy changed');
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  assert.equal(await use({ firmware: { ...firmware, versions: ['no such firmware'] } }), 'expired');
  await use({});
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  assert.equal(await use({ minimumVersion: '1.2' }), 'expired', 'its release is older');
  await use({});
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  assert.equal(
    await use({ trust: { ...policy.trust, release: [certificates.boot] } }),
    'expired',
    'its signer',
  );
  await use({});
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  // Rules that were looser while it did not run, or at a replica, count as such.
  await rig.restart();
  assert.equal(await trustOf(rig), 'trusted');
  await rig.verifier.store.policy.load({
    digest: 'x',
    rules: '{}',
    endedRules: [],
    endedReleases: [],
    lifetime: 600_000,
    at: modelNow,
    data: {},
  });
  await rig.restart();
  assert.equal(await trustOf(rig), 'trusted', 'by the rules its verdict names, not by those loaded last');
});

void test('a verdict being made while the policy changes is not stored', async () => {
  await using rig = await trustedRig();
  const { judge } = rig.verifier.context;
  using node = rig.client(modelTlsKey);
  Object.assign(rig.verifier.context, {
    judge: {
      judge: async (request: Parameters<typeof judge.judge>[0]) => {
        const judgement = await judge.judge(request);
        const { firmware } = goodPolicy();
        const stricter = { ...firmware, dbx: [...firmware.dbx, 'ab'.repeat(32)] };
        await rig.verifier.usePolicy({ ...goodPolicy(), firmware: stricter });
        return judgement;
      },
    },
  });
  assert.equal((await proveModel(node)).json['reason'], 'busy');
  assert.equal(await trustOf(rig), 'expired');
});

function settled(name: string): ReturnType<typeof settleEnrolment> {
  const lie = enrolmentLies.find((each) => each.name === name) ?? assert.fail(name);
  return settleEnrolment(lie.change(goodEnrolment()));
}

void test('a node whose endorsement certificate is revoked is out at once, and back when it is not', async () => {
  await using rig = await startRig();
  const good = settled('enrolment-not-revoked');
  const trustWith = (name: string): Policy => {
    const { release: signers } = goodPolicy().trust;
    return { ...goodPolicy(), trust: { ...settled(name).context.policy.trust, release: signers } };
  };
  const { manifest, referenceValues } = release({ version: '1.1', boot: goodBoot });
  using operator = await rig.operator('operator');
  const body = {
    manifest: Buffer.from(manifest).toString('base64'),
    referenceValues: Buffer.from(referenceValues).toString('base64'),
    state: 'promoted',
  };
  assert.equal((await operator.send('POST', '/v1/releases', body)).status, 201);
  await rig.verifier.usePolicy(trustWith('enrolment-not-revoked'));
  using node = rig.client(modelTlsKey);
  assert.equal((await enrolModel(node, 'worker', undefined, good.claim.ekCertificates)).status, 200);
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  // An old list keeps new nodes out; it does not take down those that run.
  await rig.verifier.usePolicy(trustWith('enrolment-list-expired'));
  const looks = (): number => rig.lines.filter(({ event }) => event === 'endorsements reviewed').length;
  await until('a look at the endorsements', () => looks() >= 3);
  assert.equal(await trustOf(rig), 'trusted');
  assert.equal((await enrolModel(node, 'worker', undefined, good.claim.ekCertificates)).status, 403);
  await rig.verifier.usePolicy(trustWith('enrolment-revoked'));
  await until('taken out', async () => (await trustOf(rig)) === 'suspended');
  const proved = await proveModel(node);
  assert.equal(proved.json['verdict'], 'refused');
  assert.match(JSON.stringify(proved.json['checks']), /nobody vouches for the node's endorsement key/);
  const resumed = await operator.send('POST', `/v1/nodes/${modelNode}/resumption`);
  assert.equal(resumed.status, 409);
  assert.match(String(resumed.json['message']), /ek-certificate-revocation/);
  await rig.verifier.usePolicy(trustWith('enrolment-not-revoked'));
  await until('let in again', async () => (await trustOf(rig)) === 'refused');
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
});

interface Served extends AsyncDisposable {
  readonly verifier: ServedVerifier;
  readonly lines: { level: string; event: string; fields: unknown }[];
  file(name: string): string;
  get(path: string): Promise<Record<string, unknown>>;
  metric(name: string): Promise<number>;
}

const policyText = `schema: osguard/attest-policy/v1
name: first
trust:
  endorsement: {roots: [root.pem]}
  release: [release.crt]
releases: []
`;

async function served(options: Partial<ServeOptions> = {}): Promise<Served> {
  const dir = scratch('policy-reload');
  const keys = dir.file('keys');
  await initKeys(keys, { roles: ['verifier', 'release'] });
  writeFileSync(dir.file('policy.yaml'), policyText);
  writeFileSync(dir.file('release.crt'), certificates.release.der);
  const [root] = goodEnrolment().roots;
  writeFileSync(dir.file('root.pem'), encodePem('CERTIFICATE', root?.der ?? new Uint8Array()));
  const lines: Served['lines'] = [];
  const verifier = await serveVerifier({
    state: dir.file('state'),
    keys,
    host: '127.0.0.1',
    port: 0,
    version: 'test',
    policy: dir.file('policy.yaml'),
    policyInterval: 40,
    judges: { threads: 1 },
    log: (level, event, fields) => lines.push({ level, event, fields }),
    ...options,
  });
  const token = readFileSync(verifier.tokenFile, 'utf8').trim();
  const client = connectTo({ port: verifier.port, ca: verifier.ca ?? '' }, newTlsKey());
  const bearer = { authorization: `Bearer ${token}` };
  return {
    verifier,
    lines,
    file: (name) => dir.file(name),
    get: async (path) => (await client.send('GET', path, undefined, bearer)).json,
    async metric(name) {
      const { bytes } = await client.send('GET', '/metrics', undefined, bearer);
      return Number(new RegExp(`^osguard_attest_${name} (.*)$`, 'm').exec(bytes.toString())?.[1]);
    },
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await verifier.close();
      dir[Symbol.dispose]();
    },
  };
}

void test('the files are followed; a mistake changes nothing and shows everywhere', async () => {
  await using it = await served();
  const { verifier } = it;
  const policy = it.file('policy.yaml');
  const name = (): string => verifier.context.policy().name;
  assert.equal(name(), 'first');
  await until('ready', async () => (await it.get('/readyz'))['status'] === 'ready');
  assert.equal((await it.get('/readyz'))['policy'], 'current');
  const text = policyText.replace('first', 'second');
  writeFileSync(policy, text);
  await until('the changed file', async () => (await last(verifier)).data['policy'] === 'second');
  const { kind, data } = await last(verifier);
  assert.equal(kind, 'policy.loaded');
  assert.equal(data['policy'], 'second');
  assert.equal(data['digest'], createHash('sha256').update(text).digest('hex'));
  assert.match(String(data['inputs']), /^[0-9a-f]{64}$/);

  writeFileSync(policy, text.replace('releases: []', 'releases: [{folder: none, state: promoted}]'));
  await until('a mistake', () => it.lines.some(({ event }) => event.startsWith('policy refused')));
  assert.equal(name(), 'second');
  await until('an entry', async () => (await last(verifier)).kind === 'policy.refused');
  const told = it.lines.find(({ event }) => event.startsWith('policy refused'));
  assert.match(JSON.stringify(told?.fields), /6:21 none: no such file/);
  assert.deepEqual(await it.get('/readyz'), { status: 'ready', policy: 'refused' });
  assert.equal(await it.metric('policy_current'), 0);
  assert.equal(await verifier.reload(), false);
  assert.equal(it.lines.filter(({ event }) => event.startsWith('policy refused')).length, 1, 'told once');

  // Replaced by renaming, as ConfigMaps and careful editors do; and a file it names.
  writeFileSync(it.file('next'), text.replace('second', 'third'));
  renameSync(it.file('next'), policy);
  await until('the mended file', () => name() === 'third');
  await until('all is well', async () => (await it.metric('policy_current')) === 1);
  assert.equal((await it.get('/readyz'))['policy'], 'current');
  const before = (await last(verifier)).data['inputs'];
  const other = enrolmentLies.find((lie) => lie.name === 'enrolment-not-revoked')?.change(goodEnrolment());
  writeFileSync(it.file('root.pem'), other?.roots[0]?.der ?? new Uint8Array());
  await until('the changed root', async () => (await last(verifier)).data['inputs'] !== before);
  assert.equal(
    verifier.context.policy().trust.endorsementRoots[0]?.fingerprint,
    other?.roots[0]?.fingerprint,
  );
  assert.equal(await verifier.reload(), true);
});
