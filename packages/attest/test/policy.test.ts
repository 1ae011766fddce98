import assert from 'node:assert/strict';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadPolicy, openReferenceRelease, parsePolicy, policyJsonSchema } from '@osguard/attest';
import { AttestError } from '@osguard/attest';
import { DiagnosticsError } from '@osguard/events';
import { encodePem } from '@osguard/formats/x509';
import { scratch } from '@osguard/testkit';
import type { Scratch } from '@osguard/testkit';
import { certificates, goodBoot, referenceValuesOf, release, signRelease } from '../negative/model/boot.ts';
import { makeCertificate } from '../negative/model/keys.ts';

const whole = `schema: osguard/attest-policy/v1
name: production
trust:
  endorsement:
    roots: [roots.pem]
    keys: ["${'ab'.repeat(32)}"]
  release: [release.crt]
releases:
  - folder: releases/1.1
    state: promoted
    from: 2026-11-01T00:00:00Z
  - {folder: releases/1.0, state: deprecated, until: "2026-12-01T00:00:00Z"}
minimumVersion: "1.0"
quote: {maximumAge: 90s, clockSkew: 5s}
firmware: {versions: [edk2-stable202502]}
token: {lifetime: 1h}
verdict: {lifetime: 2h}
`;

/** `code line:column` of every mistake. */
function mistakesOf(text: string): readonly string[] {
  try {
    parsePolicy(text, { file: 'policy.yaml' });
    return [];
  } catch (error) {
    assert.ok(error instanceof DiagnosticsError);
    return error.diagnostics.map(({ code, range }) => `${code} ${range?.start.line}:${range?.start.column}`);
  }
}

function folderWith(policy: string): Scratch {
  const folder = scratch('policy');
  const root = makeCertificate({ name: 'maker', key: 'endorsementRoot', authority: true, keyUsage: 4 });
  const other = makeCertificate({ name: 'other maker', key: 'foreignRoot', authority: true, keyUsage: 4 });
  writeFileSync(
    folder.file('roots.pem'),
    encodePem('CERTIFICATE', root.der) + encodePem('CERTIFICATE', other.der),
  );
  writeFileSync(folder.file('release.crt'), certificates.release.der);
  for (const version of ['1.0', '1.1']) {
    mkdirSync(folder.file(`releases/${version}`), { recursive: true });
    const { manifest, referenceValues } = release({ version, boot: { ...goodBoot, image: version } });
    writeFileSync(folder.file(`releases/${version}/release.json`), manifest);
    writeFileSync(folder.file(`releases/${version}/reference-values.json`), referenceValues);
  }
  writeFileSync(folder.file('policy.yaml'), policy);
  return folder;
}

async function refusal(folder: Scratch): Promise<readonly string[]> {
  try {
    await loadPolicy(folder.file('policy.yaml'));
    return [];
  } catch (error) {
    assert.ok(error instanceof DiagnosticsError, String(error));
    return error.diagnostics.map(({ code, message, range }) => `${code} ${range?.start.line}: ${message}`);
  }
}

test('a policy and everything it names', async () => {
  using folder = folderWith(whole);
  const { policy, releases, warnings } = await loadPolicy(folder.file('policy.yaml'));
  assert.deepEqual(warnings, []);
  assert.equal(policy.trust.endorsementRoots.length, 2);
  assert.deepEqual([...policy.trust.endorsementKeys], ['ab'.repeat(32)]);
  assert.deepEqual(policy.quote, {
    pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15],
    maximumAge: 90_000,
    clockSkew: 5000,
  });
  assert.equal(policy.rollbackProtection, true);
  assert.equal(policy.token.lifetime, 3_600_000);
  assert.equal(policy.verdict.lifetime, 7_200_000);
  assert.deepEqual(
    releases.map(({ manifest, state, from, until }) => [manifest.version, state, from, until]),
    [
      ['1.1', 'promoted', Date.parse('2026-11-01T00:00:00Z'), undefined],
      ['1.0', 'deprecated', undefined, Date.parse('2026-12-01T00:00:00Z')],
    ],
  );
});

test('who trusts nobody is told so', () => {
  const { warnings } = parsePolicy(
    'schema: osguard/attest-policy/v1\nname: empty\ntrust: {release: [r.crt]}\nreleases: []\n',
  );
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ['nobody', 'nothing'],
  );
});

test('every mistake at its place, all at once', () => {
  const mistaken = (from: string | RegExp, to: string): readonly string[] =>
    mistakesOf(whole.replace(from, to));
  assert.deepEqual(mistaken('state: promoted', 'state: promotd'), ['bad-value 10:12']);
  assert.deepEqual(mistaken('maximumAge: 90s', 'maximumAge: 90'), ['wrong-type 14:21']);
  assert.deepEqual(mistaken('maximumAge: 90s', 'maximumAge: 9000d'), ['refused 14:21']);
  assert.deepEqual(mistaken('maximumAge', 'maxAge'), ['unknown-key 14:9']);
  assert.deepEqual(mistaken(', until: "2026-12-01T00:00:00Z"', ''), ['refused 12:35']);
  assert.deepEqual(mistaken('2026-11-01T', '2026-11-31T'), ['refused 11:11']);
  assert.deepEqual(mistaken('roots.pem', '../roots.pem'), ['bad-value 5:13']);
  assert.deepEqual(mistaken('roots.pem', '/roots.pem'), ['bad-value 5:13']);
  assert.deepEqual(mistaken('  release: [release.crt]\n', ''), ['missing-key 3:1']);
  assert.deepEqual(mistaken('releases/1.0', 'releases/1.1'), ['duplicate 12:14']);
  assert.deepEqual(mistaken('quote: {', 'quote: {pcrs: [0, 7], '), ['pcrs 14:15']);
  assert.deepEqual(mistaken('"1.0"', '1.0'), ['wrong-type 13:17']);
  assert.deepEqual(mistaken('name: production', 'name: &a production'), ['yaml 2:10']);
  assert.deepEqual(mistaken('token: {lifetime: 1h}', 'token: {lifetime: 1h, lifetime: 2h}'), [
    'duplicate-key 16:23',
  ]);
  assert.deepEqual(mistaken(/$/, '---\nschema: other\n').length > 0, true);
  assert.deepEqual(
    mistakesOf(whole.replace('promoted', 'x').replace('lifetime: 1h', 'lifetime: 1y').replace('90s', '1s')),
    ['bad-value 10:12', 'refused 14:21', 'bad-value 16:19'],
  );
});

test('mistakes in what a policy names', async (t) => {
  await t.test('a certificate that is not there', async () => {
    using folder = folderWith(whole.replace('roots.pem', 'none.pem'));
    assert.deepEqual(await refusal(folder), ['certificate 5: none.pem: no such file']);
  });
  await t.test('a certificate of another role', async () => {
    using folder = folderWith(whole);
    writeFileSync(folder.file('release.crt'), makeCertificate({ name: 'suite boot', key: 'release' }).der);
    const [mistake] = await refusal(folder);
    assert.match(mistake ?? '', /wrong-role 7: is the certificate of the role boot/);
  });
  await t.test('a release somebody else signed', async () => {
    using folder = folderWith(whole);
    writeFileSync(
      folder.file('release.crt'),
      makeCertificate({ name: 'other release', key: 'platform' }).der,
    );
    const found = await refusal(folder);
    assert.equal(found.length, 2);
    assert.match(found[0] ?? '', /release 9: releases\/1\.1: release\.json is not signed by anyone/);
  });
  await t.test('reference values of another release', async () => {
    using folder = folderWith(whole);
    cpSync(
      folder.file('releases/1.0/reference-values.json'),
      folder.file('releases/1.1/reference-values.json'),
    );
    const [mistake] = await refusal(folder);
    assert.match(mistake ?? '', /release 9: .*is not the one of release\.json/);
  });
  await t.test('one release under two names', async () => {
    using folder = folderWith(whole);
    cpSync(folder.file('releases/1.1'), folder.file('releases/1.0'), { recursive: true });
    assert.match((await refusal(folder))[0] ?? '', /duplicate 12: .*a release has one state/);
  });
});

test('a signature over other reference values does not count', () => {
  const values = referenceValuesOf({ version: '1.1', boot: goodBoot });
  const options = { trust: [certificates.release], state: 'promoted' } as const;
  assert.equal(openReferenceRelease(signRelease('1.1', values), options).manifest.version, '1.1');
  const files = signRelease('1.2', values);
  assert.throws(() => openReferenceRelease(files, options), AttestError, 'a manifest of another version');
  assert.throws(() => openReferenceRelease(files, { ...options, trust: [] }), /not signed by anyone/);
  const broken = { ...signRelease('1.1', values), manifest: Buffer.from('{}') };
  assert.throws(() => openReferenceRelease(broken, options), AttestError);
});

test('the schema is JSON Schema', () => {
  const schema = policyJsonSchema();
  assert.deepEqual(Object.keys(schema['properties'] ?? {}).slice(0, 4), [
    'schema',
    'name',
    'trust',
    'releases',
  ]);
});
