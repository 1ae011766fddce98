/** The verifier killed, its database gone, its disk full, its clock set: nothing acknowledged is lost, nothing counts twice. */

import assert from 'node:assert/strict';
import { fork, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';
import { goodBoot, release } from '../negative/model/boot.ts';
import { placeText, verifyChain } from '../src/audit/index.ts';
import { openStore } from '../src/store/index.ts';
import type { Decision, Store } from '../src/store/index.ts';
import { noPostgres, startPostgres } from './postgres.ts';
import { syntheticNode } from './verifier-process.ts';
import type { Started } from './verifier-process.ts';
import {
  connectTo,
  enrolModel,
  modelEvidence,
  modelNode,
  modelTlsKey,
  proveModel,
  startRig,
} from './verifier-rig.ts';
import type { Client } from './verifier-rig.ts';

interface Process extends Started {
  readonly child: ChildProcess;
  kill(signal: NodeJS.Signals): Promise<void>;
}

async function startProcess(folder: string, { store = '', nodes = 0 } = {}): Promise<Process> {
  const { manifest, referenceValues } = release({ version: '1.1', boot: goodBoot });
  writeFileSync(join(folder, 'release.json'), manifest);
  writeFileSync(join(folder, 'reference-values.json'), referenceValues);
  const child = fork(join(import.meta.dirname, 'verifier-process.ts'), [folder, store, String(nodes)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    silent: false,
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const started = await new Promise<Started>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Started));
    child.once('exit', (code, signal) => reject(new Error(`the verifier ended: ${code ?? signal}`)));
  });
  return {
    ...started,
    child,
    async kill(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

/** The model's evidence for another node. */
function evidenceOf(node: string, nonce: string): Uint8Array {
  return modelEvidence(nonce, { evidence: (evidence) => ({ ...evidence, node }) });
}

interface Acknowledged {
  readonly nonce: string;
  readonly evidence: Uint8Array;
}

/** Proves for one node until the connection breaks. */
async function proveOn(client: Client, node: string, acknowledged: Acknowledged[]): Promise<void> {
  try {
    for (;;) {
      const { json } = await client.send('POST', '/v1/nonces', { node, purpose: 'evidence' });
      const nonce = String(json['nonce']);
      const evidence = evidenceOf(node, nonce);
      const reply = await client.send('POST', '/v1/evidence', evidence);
      if (reply.json['verdict'] === 'trusted') acknowledged.push({ nonce, evidence });
    }
  } catch {
    // Killed: what was under way is not acknowledged.
  }
}

async function decisionsOf(store: Store): Promise<readonly Decision[]> {
  const all: Decision[] = [];
  for (;;) {
    const page = await store.decisions.list({ after: all.length, limit: 5000 });
    all.push(...page);
    if (page.length < 5000) return all;
  }
}

async function assertNothingLost(store: Store, acknowledged: readonly Acknowledged[]): Promise<void> {
  const decisions = await decisionsOf(store);
  const entries = (async function* () {
    yield* decisions;
  })();
  const report = await verifyChain(entries, { head: await store.decisions.head() });
  assert.ok(report.ok, `${JSON.stringify(report.checks)} ${placeText(report.head)}`);
  const nonces: string[] = [];
  for (const { body } of decisions) {
    const { kind, data } = JSON.parse(body) as { kind: string; data: { nonce?: string } };
    if (kind.startsWith('evidence.') && data.nonce !== undefined) nonces.push(data.nonce);
  }
  assert.equal(new Set(nonces).size, nonces.length, 'a nonce was accepted twice');
  const recorded = new Set(nonces);
  for (const { nonce } of acknowledged) assert.ok(recorded.has(nonce), 'acknowledged and lost');
}

const nodes = 6;

async function killAgainAndAgain(
  folder: string,
  rounds: number,
  store = '',
): Promise<readonly Acknowledged[]> {
  const acknowledged: Acknowledged[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const verifier = await startProcess(folder, { store, nodes });
    const clients = Array.from({ length: nodes }, () => connectTo(verifier, modelTlsKey));
    // What was accepted before the crash is not accepted after it.
    for (const { evidence } of acknowledged.slice(-3)) {
      const reply = await clients[0]?.send('POST', '/v1/evidence', evidence);
      assert.equal(reply?.json['reason'], 'nonce-refused');
    }
    const before = acknowledged.length;
    const proving = clients.map(async (client, index) => proveOn(client, syntheticNode(index), acknowledged));
    const deadline = performance.now() + 60_000;
    while (acknowledged.length < before + 10) {
      assert.ok(performance.now() < deadline, 'nothing is accepted');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 50));
    await verifier.kill('SIGKILL');
    await Promise.all(proving);
    for (const client of clients) client[Symbol.dispose]();
  }
  return acknowledged;
}

void test('killed under load, SQLite: nothing acknowledged is lost, no nonce is accepted twice', async () => {
  using dir = scratch('kill');
  const acknowledged = await killAgainAndAgain(dir.path, 3);
  assert.ok(acknowledged.length >= 30);
  const store = await openStore(join(dir.path, 'state', 'verifier.db'));
  try {
    await assertNothingLost(store, acknowledged);
  } finally {
    await store.close();
  }
});

void test('killed under load, PostgreSQL: the same', { skip: noPostgres }, async () => {
  using dir = scratch('kill-postgres');
  await using postgres = await startPostgres();
  const url = await postgres.database();
  const acknowledged = await killAgainAndAgain(dir.path, 2, url);
  const store = await openStore(url);
  try {
    await assertNothingLost(store, acknowledged);
  } finally {
    await store.close();
  }
});

void test('told to stop, it answers what is under way and ends by itself', async () => {
  using dir = scratch('stop');
  const verifier = await startProcess(dir.path, { nodes: 1 });
  using client = connectTo(verifier, modelTlsKey);
  const { json } = await client.send('POST', '/v1/nonces', { node: syntheticNode(0), purpose: 'evidence' });
  const proving = client.send('POST', '/v1/evidence', evidenceOf(syntheticNode(0), String(json['nonce'])));
  // Long enough to have arrived, too short to be answered.
  await new Promise((resolve) => setTimeout(resolve, 2));
  const stopping = verifier.kill('SIGTERM');
  assert.equal((await proving).json['verdict'], 'trusted');
  await stopping;
  assert.equal(verifier.child.exitCode, 0);
});

void test(
  'a database that is gone: clear refusals, no verdict, and all well when it is back',
  { skip: noPostgres },
  async () => {
    await using postgres = await startPostgres();
    await using rig = await startRig({ store: await postgres.database() });
    await rig.prepare();
    using node = rig.client(modelTlsKey);
    assert.equal((await enrolModel(node)).status, 200);
    assert.equal((await proveModel(node)).json['verdict'], 'trusted');
    await postgres.stop();
    for (let tries = 0; tries < 3; tries += 1) {
      const reply = await proveModel(node);
      assert.equal(reply.status, 503);
      assert.deepEqual(reply.json, { reason: 'unavailable' });
      assert.match(String(reply.headers['retry-after']), /^\d+$/);
    }
    assert.equal((await node.send('GET', '/readyz')).status, 503);
    assert.equal((await node.send('GET', '/healthz')).status, 200);
    assert.ok(
      rig.lines.some(({ level, fields }) => level === 'error' && /PostgreSQL/.test(JSON.stringify(fields))),
    );
    await postgres.start();
    assert.equal((await proveModel(node)).json['verdict'], 'trusted');
    assert.equal((await node.send('GET', '/readyz')).status, 200);
  },
);

void test('the clock set forward ends trust and set back gives none', async () => {
  await using rig = await startRig();
  await rig.prepare();
  using node = rig.client(modelTlsKey);
  await enrolModel(node);
  assert.equal((await proveModel(node)).json['verdict'], 'trusted');
  const trust = async (): Promise<string | undefined> =>
    (await rig.verifier.store.nodes.detail(modelNode, rig.clock.now))?.trust;
  const nonce = async (): Promise<string> =>
    String((await node.send('POST', '/v1/nonces', { node: modelNode, purpose: 'evidence' })).json['nonce']);
  const start = rig.clock.now;
  const before = await nonce();
  rig.clock.now = start + 7 * 86_400_000;
  assert.equal(await trust(), 'expired');
  const late = await node.send('POST', '/v1/evidence', modelEvidence(before));
  assert.equal(late.json['reason'], 'nonce-refused');
  assert.equal((await proveModel(node)).json['verdict'], 'trusted', 'recovers by itself');
  const future = await nonce();
  rig.clock.now = start;
  assert.equal(await trust(), 'expired', 'a verdict of a time that has not come');
  const early = await node.send('POST', '/v1/evidence', modelEvidence(future));
  assert.equal(early.json['reason'], 'nonce-refused');
  assert.equal((await proveModel(node)).json['verdict'], 'trusted', 'recovers by itself');
  const entries = (async function* () {
    yield* await rig.verifier.store.decisions.list({ after: 0, limit: 1000 });
  })();
  const report = await verifyChain(entries, { head: await rig.verifier.store.decisions.head() });
  assert.ok(report.ok);
  assert.equal(report.clockSteps, 1);
});

/** A small file system in memory, or why there is none. */
function smallFileSystem(path: string): string | false {
  mkdirSync(path, { recursive: true });
  const done = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', path], { encoding: 'utf8' });
  return done.status === 0 ? false : `no small file system can be mounted here: ${done.stderr.trim()}`;
}

void test('a full disk: clear refusals, no verdict, and all well when there is room', async (context) => {
  using dir = scratch('full');
  const folder = dir.file('small');
  const problem = smallFileSystem(folder);
  if (problem !== false) {
    context.skip(problem);
    return;
  }
  try {
    await using rig = await startRig({ state: join(folder, 'state') });
    await rig.prepare();
    using node = rig.client(modelTlsKey);
    await enrolModel(node);
    assert.equal((await proveModel(node)).json['verdict'], 'trusted');
    const filler = join(folder, 'filler');
    const fill = (): void => {
      const block = new Uint8Array(4096);
      try {
        for (;;) appendFileSync(filler, block);
      } catch {
        // Full.
      }
    };
    fill();
    // What SQLite still has room for in pages it owns is used up first.
    let reply = await proveModel(node);
    for (let tries = 0; tries < 200 && reply.status === 200; tries += 1) {
      reply = await proveModel(node);
      fill();
    }
    assert.equal(reply.status, 503);
    assert.deepEqual(reply.json, { reason: 'unavailable' });
    assert.ok(
      rig.lines.some(({ level, fields }) => level === 'error' && /verifier\.db/.test(JSON.stringify(fields))),
    );
    assert.equal((await node.send('GET', '/healthz')).status, 200);
    rmSync(filler);
    assert.equal((await proveModel(node)).json['verdict'], 'trusted', 'recovers by itself');
    const entries = (async function* () {
      yield* await rig.verifier.store.decisions.list({ after: 0, limit: 1000 });
    })();
    const report = await verifyChain(entries, { head: await rig.verifier.store.decisions.head() });
    assert.ok(report.ok, JSON.stringify(report.checks));
  } finally {
    spawnSync('umount', ['-l', folder]);
  }
});
