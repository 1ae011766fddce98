import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';
import type { Scratch } from '@osguard/testkit';
import { osguard } from './osguard.ts';
import type { Ran } from './osguard.ts';

const suite = join(import.meta.dirname, '../../attest/negative');

interface Recorded {
  readonly document: unknown;
  readonly context: {
    readonly now: string;
    readonly node: Readonly<Record<string, unknown>>;
    readonly nonce: { readonly nonce: string };
    readonly policy: { readonly trust: { readonly release: readonly string[] } };
    readonly releases: readonly { readonly manifest: string; readonly referenceValues: string }[];
  };
}

const recorded = JSON.parse(readFileSync(join(suite, 'recorded.json'), 'utf8')) as Recorded;
const { now, node, nonce, policy, releases } = recorded.context;

/** The files an auditor has: evidence of a real boot by a real TPM, and what he knows. */
function files(): Scratch {
  const folder = scratch('attest-verify');
  const write = (name: string, base64: string | undefined): void =>
    writeFileSync(folder.file(name), Buffer.from(base64 ?? '', 'base64'));
  mkdirSync(folder.file('release'));
  write('release/release.json', releases[0]?.manifest);
  write('release/reference-values.json', releases[0]?.referenceValues);
  write('release.crt', policy.trust.release[0]);
  writeFileSync(folder.file('node.json'), JSON.stringify(node));
  writeFileSync(folder.file('evidence.json'), JSON.stringify(recorded.document));
  writeFileSync(
    folder.file('policy.yaml'),
    'schema: osguard/attest-policy/v1\nname: audit\ntrust: {release: [release.crt]}\nreleases: []\n',
  );
  return folder;
}

async function verify(folder: Scratch, args: readonly string[]): Promise<Ran> {
  const named = ['evidence.json', '--policy', 'policy.yaml', '--node', 'node.json'];
  return osguard(['attest', 'verify', ...named, ...args], { cwd: folder.path });
}

test('attest verify: trusted, refused, and what it cannot judge', async () => {
  using folder = files();
  const whole = ['--release', 'release', '--nonce', nonce.nonce, '--at', now];
  const trusted = await verify(folder, whole);
  assert.equal(trusted.status, 0, trusted.stderr + trusted.stdout);
  assert.match(trusted.stdout, /ok {5}quote-signature +the quote is signed by the attestation key/);
  assert.match(trusted.stdout, /judged offline: there is no TLS connection/);
  assert.match(trusted.stdout, /evidence\.json trusted: measured-host 0\.1\.0/);

  const json = await verify(folder, [...whole, '--json']);
  const { verdict, checks } = JSON.parse(json.stdout) as { verdict: string; checks: { ok: boolean }[] };
  assert.equal(verdict, 'trusted');
  assert.ok(checks.every(({ ok }) => ok));

  const withoutNonce = await verify(folder, ['--release', 'release', '--at', now]);
  assert.equal(withoutNonce.status, 1);
  assert.match(withoutNonce.stdout, /FAILED nonce-known/);
  const withoutRelease = await verify(folder, ['--nonce', nonce.nonce, '--at', now]);
  assert.equal(withoutRelease.status, 1);
  assert.match(withoutRelease.stdout, /FAILED release-known/);

  assert.equal((await verify(folder, ['--at', 'yesterday'])).status, 2);
  assert.equal((await verify(folder, ['--nonce', 'AAAA', '--at', now])).status, 2);
  writeFileSync(folder.file('node.json'), '{}');
  const broken = await verify(folder, whole);
  assert.equal(broken.status, 2);
  assert.match(broken.stderr, /node\.json: node record: node/);
});
