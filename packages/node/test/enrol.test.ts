import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { judge, noJudge, scratch } from '@osguard/testkit';
import type { AgentOptions } from '../src/attest/agent.ts';
import { runAgent } from '../src/attest/agent.ts';
import { openKeep } from '../src/attest/keep.ts';
import { thisMachine } from '../src/attest/this-machine.ts';
import { openVerifier } from '../src/attest/verifier.ts';
import { createLog } from '../src/log.ts';
import { startTestTpm } from './support/swtpm.ts';
import { serverCertificate, startTestVerifier } from './support/verifier.ts';

const swtpm = judge('swtpm');
const skip = swtpm === undefined ? noJudge('swtpm') : false;

test(
  'a TPM enrols, proves, gets a secret, loses it when refused, and survives an outage',
  { skip },
  async () => {
    assert.ok(swtpm);
    using folder = scratch('node-tpm');
    using run = scratch('node-run');
    await using tpm = await startTestTpm(swtpm.path, folder.path);
    await using verifier = await startTestVerifier();
    const lines: string[] = [];
    const stop = new AbortController();
    const kept: string[] = [];
    const secrets = run.file('secrets');
    const status = (): { readonly state: string } =>
      JSON.parse(readFileSync(run.file('status.json'), 'utf8'));
    let turn = 0;
    const options: AgentOptions = {
      machine: thisMachine({
        name: 'test host!',
        open: () => tpm.open(),
        logs: async () => ({ firmware: new Uint8Array([1]), userspace: '', commandLine: 'quiet' }),
      }),
      connect: (identity) =>
        openVerifier({ address: verifier.address, ca: verifier.ca, identity, signal: stop.signal }),
      keep: openKeep(run.path),
      log: createLog((line) => lines.push(line)),
      clock: {
        wall: () => Date.now(),
        alarm: () => () => undefined,
        wait: async () => {
          kept.push(`${status().state}: ${readdirSync(secrets).join()}`);
          turn += 1;
          if (turn === 1) {
            assert.equal(readFileSync(`${secrets}/join-token`, 'utf8'), 'the secret');
            assert.equal(statSync(`${secrets}/join-token`).mode & 0o777, 0o600);
            assert.equal(statSync(secrets).mode & 0o777, 0o700);
            verifier.down = true;
          } else if (turn === 2) {
            verifier.down = false;
            verifier.verdict = 'refused';
          } else if (turn === 3) verifier.verdict = 'trusted';
          else stop.abort();
        },
      },
      random: () => 0.5,
      verifier: verifier.address,
      interval: 300,
      version: 'test',
      signal: stop.signal,
    };
    await runAgent(options);
    assert.deepEqual(verifier.log, [
      'enrol test-host-, 0 certificates',
      'activated',
      'proved: trusted',
      'proved: refused',
      'proved: trusted',
    ]);
    assert.deepEqual(kept, [
      'trusted: join-token',
      'trusted: join-token',
      'refused: ',
      'trusted: join-token',
    ]);
    assert.deepEqual(readdirSync(secrets), [], 'nothing is left after the end');
    assert.equal(status().state, 'unproven');
    assert.ok(!lines.join('').includes('the secret'));
  },
);

test('a verifier with another certificate is not talked to', async () => {
  await using verifier = await startTestVerifier();
  const { createChannelIdentity } = await import('../src/attest/identity.ts');
  using channel = openVerifier({
    address: verifier.address,
    ca: serverCertificate().certificate,
    identity: createChannelIdentity(),
    signal: new AbortController().signal,
  });
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  try {
    await assert.rejects(channel.nonce('0'.repeat(64)), /cannot be reached: .*(?:self-signed|certificate)/);
  } finally {
    delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  }
});

test('a secret whose name is a path is not written', () => {
  using run = scratch('node-keep');
  const keep = openKeep(run.path);
  keep.only([]);
  for (const name of ['../evil', '.hidden'])
    assert.throws(() => keep.secret(name, new Uint8Array()), /no name/);
  keep.secret('good', new Uint8Array([1]));
  assert.deepEqual(readdirSync(run.file('secrets')), ['good']);
  assert.deepEqual(readdirSync(run.path), ['secrets']);
  keep.only([]);
  assert.deepEqual(readdirSync(run.file('secrets')), []);
});
