/** A verifier started, operated and stopped by its commands. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { initKeys } from '@osguard/keys';
import { scratch } from '@osguard/testkit';
import { main, osguard as runCommand } from './osguard.ts';
import type { Ran } from './osguard.ts';

const dir = scratch('cli-attest');
const env = {
  PATH: process.env['PATH'],
  HOME: process.env['HOME'],
  NODE_COMPILE_CACHE: join(tmpdir(), 'osguard-test-compiled'),
};
const state = dir.file('state');
const node = 'ab'.repeat(32);
let server: ChildProcess | undefined;
let log = '';

const osguard = async (...words: readonly string[]): Promise<Ran> => runCommand(words, { cwd: dir.path });
const attest = async (...words: readonly string[]): Promise<Ran> =>
  osguard('attest', ...words, '--dir', state);

async function startServer(listen = '127.0.0.1:0'): Promise<void> {
  const words = ['attest', 'serve', '--dir', state, '--keys', dir.file('keys'), '--listen', listen];
  const child = spawn(process.execPath, [main, ...words, '--secret', `join=${dir.file('secret')}`], { env });
  server = child;
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (part: Buffer) => {
      said += part.toString();
      if (said.includes('operators:')) resolve();
    });
    child.stderr.on('data', (part: Buffer) => {
      log += part.toString();
    });
    child.once('exit', () => reject(new Error(log)));
  });
}

async function stopServer(signal: NodeJS.Signals): Promise<void> {
  if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((resolve) => server?.once('exit', resolve));
  server.kill(signal);
  await ended;
}

before(async () => {
  await initKeys(dir.file('keys'), {
    roles: ['verifier', 'release'],
    rsaBits: { verifier: 2048, release: 2048 },
  });
  writeFileSync(dir.file('secret'), 'hunter2');
  await startServer();
});
after(async () => {
  await stopServer('SIGKILL');
  dir[Symbol.dispose]();
});

test('operators’ commands on the same machine need nothing but the state folder', async () => {
  for (const file of ['operator.token', 'secrets.key', 'token.key', 'nodes.pem', 'verifier.db']) {
    assert.equal(statSync(join(state, file)).mode & 0o777, 0o600, file);
  }
  const nodes = await attest('nodes', '--json');
  assert.deepEqual([nodes.status, JSON.parse(nodes.stdout)], [0, { nodes: [], next: null }], nodes.stderr);
  assert.match((await attest('nodes')).stdout, /no nodes; who waits .* applicants/);
  assert.match((await attest('secrets', 'list')).stdout, /^join +7 B/m);
  assert.match((await attest('releases', 'list')).stdout, /no node can be trusted/);
  assert.equal((await attest('approve', node)).status, 0);
  const unknown = await attest('node', 'worker');
  assert.deepEqual([unknown.status, unknown.stdout], [2, '']);
  assert.match(unknown.stderr, /no node is called worker/);
  assert.equal((await attest('suspend', node)).status, 2);
  const missing = await attest('releases', 'add', dir.path);
  assert.match(missing.stderr, /no release\.json/);
});

test('a secret is for those somebody named', async () => {
  const file = dir.file('secret');
  const forgotten = await attest('secrets', 'set', 'db', file);
  assert.equal(forgotten.status, 2);
  assert.match(forgotten.stderr, /which nodes is it for/);
  assert.equal((await attest('secrets', 'set', 'db', file, '--everyone', '--label', 'db')).status, 2);
  const set = await attest(
    'secrets',
    'set',
    'db',
    file,
    '--label',
    'db',
    '--label',
    'web',
    '--release',
    'host@1',
  );
  assert.match(set.stdout, /for label db or label web, with host@1\n$/);
  const { secrets } = JSON.parse((await attest('secrets', 'list', '--json')).stdout) as {
    secrets: unknown[];
  };
  const scope = { nodes: [], labels: ['db', 'web'], releases: ['host@1'] };
  assert.deepEqual(
    secrets.map((one) => (one as { scope: unknown }).scope),
    [scope, 'everyone'],
  );
  const unknown = await attest('label', 'worker', '--label', 'db');
  assert.match(unknown.stderr, /no node is called worker/);
});

const policyLoads = (): number => log.split('"policy loaded"').length - 1;

test('SIGHUP reads the policy again and ends nothing', async () => {
  const known = policyLoads();
  server?.kill('SIGHUP');
  for (let tries = 0; tries < 200 && policyLoads() === known; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(policyLoads(), known + 1);
  assert.equal((await attest('nodes')).status, 0);
});

test('watch goes on when the verifier comes back, and ends well when told to', async () => {
  const { url } = JSON.parse(readFileSync(join(state, 'endpoint.json'), 'utf8')) as { url: string };
  const watching = spawn(process.execPath, [main, 'attest', 'watch', '--json', '--dir', state], { env });
  let told = '';
  watching.stdout.on('data', (part: Buffer) => {
    told += part.toString();
  });
  const seen = async (kind: string, subject: string): Promise<void> => {
    const is = (line: string): boolean => line.includes(`"kind":"${kind}"`) && line.includes(subject);
    for (let tries = 0; tries < 600; tries += 1) {
      if (told.split('\n').some(is)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.fail(`never: ${kind}`);
  };
  try {
    // It is connected once a change arrives.
    const isConnected = (): boolean => told !== '';
    for (let tries = 0; tries < 200 && !isConnected(); tries += 1) {
      await attest('secrets', 'set', 'seen', dir.file('secret'), '--everyone');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await seen('secret.set', 'seen');
    await stopServer('SIGTERM');
    assert.equal(server?.exitCode, 0, 'to stop is what it was told');
    await startServer(url.replace('https://', ''));
    await attest('approve', 'cd'.repeat(32));
    await seen('node.approved', 'cd'.repeat(32));
    watching.kill('SIGINT');
    const status = await new Promise((resolve) => watching.once('exit', resolve));
    assert.equal(status, 0);
    assert.match(told, /"seen": \d+/);
  } finally {
    watching.kill('SIGKILL');
  }
});

test('a token of a lower role may less, and says so', async () => {
  const made = await attest('token', 'create', '--name', 'ci', '--role', 'viewer', '--expires', '1d');
  assert.match(made.stdout, /^osgv_[\w-]{43}\n$/);
  writeFileSync(dir.file('token'), made.stdout);
  const as = async (...words: readonly string[]): Promise<Ran> =>
    attest(...words, '--token-file', dir.file('token'));
  assert.equal((await as('nodes')).status, 0);
  const refused = await as('approve', node);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /needs the role operator; the token has viewer/);
  const local = await attest('token', 'create', '--name', 'lost', '--role', 'admin', '--local');
  writeFileSync(dir.file('token'), local.stdout);
  assert.equal((await as('token', 'list')).status, 0);
  const [, id = ''] = /^([0-9a-f]{12}) +ci /m.exec((await attest('token', 'list')).stdout) ?? [];
  assert.equal((await attest('token', 'rm', id)).status, 0);
});

test('the audit answers yes, remembers where it was, and no to a changed database', async () => {
  const first = await attest('audit', '--json');
  assert.equal(first.status, 0, first.stderr);
  const { ok, head, kinds } = JSON.parse(first.stdout) as {
    ok: boolean;
    head: { seq: number; hash: string };
    kinds: Record<string, number>;
  };
  assert.ok(ok);
  assert.equal(kinds['node.approved'], 2);
  assert.equal((await attest('audit', '--known', `${head.seq}:${head.hash}`)).status, 0);
  assert.equal((await attest('audit', '--known', `${head.seq}:${'0'.repeat(64)}`)).status, 1);
  assert.equal((await attest('audit', '--known', 'nonsense')).status, 2);
  await stopServer('SIGTERM');
  assert.equal(server?.exitCode, 0, 'to stop is what it was told');
  assert.match(log, /"event":"stopped"/);
  assert.ok(!log.includes('hunter2') && !log.includes('osgv_'));
  const unreachable = await attest('nodes');
  assert.equal(unreachable.status, 3);
  assert.match(unreachable.stderr, /osguard attest serve/);
  const database = new DatabaseSync(join(state, 'verifier.db'));
  database.exec('DROP TRIGGER decisions_no_update');
  database.exec(
    `UPDATE decisions SET body = replace(body, '${node}', '${'cd'.repeat(32)}') WHERE body LIKE '%approved%'`,
  );
  database.close();
  const offline = await attest('audit', '--database', join(state, 'verifier.db'));
  assert.equal(offline.status, 1);
  assert.match(offline.stdout, /a decision was changed/);
});

test('what is wrong before it starts is said at once', async () => {
  const bad = async (...words: readonly string[]): Promise<Ran> =>
    osguard('attest', 'serve', '--keys', dir.file('keys'), ...words);
  assert.match((await bad('--listen', 'nowhere')).stderr, /expected ADDRESS:PORT/);
  const secret = await bad('--secret', 'hunter2');
  assert.match(secret.stderr, /expected NAME=FILE/);
  assert.ok(!secret.stderr.includes('hunter2'));
  assert.equal((await bad('--ek-root', dir.file('secret'), '--listen', '127.0.0.1:0')).status, 2);
  const old = await osguard('attest', 'serve', '--keys', dir.file('nothing'));
  assert.equal(old.status, 2);
  assert.match(old.stderr, /keys init/);
  assert.match(
    (await osguard('attest', 'nodes', '--dir', dir.file('elsewhere'))).stderr,
    /name its folder with --dir/,
  );
});
