/** The published cases and the rules they are made from: every lie is caught by its check first, and by no other. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkIds, encodeEvidence, judgeEnrolment, parseEvidence, verifyEvidence } from '@osguard/attest';
import type { CheckId, Verdict, VerifyContext } from '@osguard/attest';
import { parseCertificate, parseRevocationList } from '@osguard/formats/x509';
import type { CaseFile } from '../negative/case-file.ts';
import { readCase } from '../negative/case-file.ts';
import { enrolmentLies, goodEnrolment, settleEnrolment } from '../negative/enrolment.ts';
import { lies } from '../negative/lies/index.ts';
import type { Lie } from '../negative/lies/index.ts';
import { goodPlan, settlePlan } from '../negative/model/baseline.ts';
import { enrolmentCheckIds } from '../src/ek/types.ts';
import { authenticationIds } from '../src/verify/ids.ts';
import { checkDefinitions, verifyWith } from '../src/verify/verify.ts';

const folder = join(import.meta.dirname, '../negative');

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(folder, path), 'utf8'));
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function told({ change }: Pick<Lie, 'change'>): {
  readonly bytes: Uint8Array;
  readonly context: VerifyContext;
} {
  const plan = change(goodPlan());
  const { evidence, context } = settlePlan(plan);
  const bytes = encodeEvidence(evidence);
  return { bytes: plan.document?.(bytes) ?? bytes, context };
}

function without(id: CheckId, { bytes, context }: ReturnType<typeof told>): Verdict {
  return verifyWith(
    checkDefinitions.filter((definition) => definition.id !== id),
    bytes,
    context,
  );
}

const good = readJson('good.json') as CaseFile;

test('the good story is trusted, made now and as published', () => {
  for (const { bytes, context } of [told({ change: (plan) => plan }), readCase(good, good)]) {
    const { verdict, checks, authenticated, clock, release } = verifyEvidence(bytes, context);
    assert.equal(verdict, 'trusted', JSON.stringify(checks.filter(({ ok }) => !ok)));
    assert.ok(authenticated);
    assert.deepEqual(
      checks.map(({ id }) => id),
      checkIds,
      'every check is made, in the documented order',
    );
    assert.equal(release?.version, '1.1');
    assert.equal(clock?.clock, 7_200_000n);
  }
});

test('a real boot, quoted by a real TPM, is trusted', () => {
  const recorded = readJson('recorded.json') as CaseFile;
  const { bytes, context } = readCase(recorded, recorded);
  const { verdict, checks, release } = verifyEvidence(bytes, context);
  assert.equal(verdict, 'trusted', JSON.stringify(checks.filter(({ ok }) => !ok)));
  assert.equal(release?.name, context.releases[0]?.manifest.name);
  // Its PCR values and none other: each changed digit is seen.
  const { pcrs, ...rest } = parseEvidence(bytes);
  for (const [pcr, value] of pcrs) {
    const lie = new Map([...pcrs, [pcr, value.replace(/^./, value.startsWith('0') ? '1' : '0')]]);
    assert.equal(verifyEvidence({ ...rest, pcrs: lie }, context).reason, 'pcr-digest');
  }
});

test('the published cases are those of the suite', () => {
  const published = readdirSync(join(folder, 'cases')).sort();
  const names = [...lies, ...enrolmentLies].map(({ name }) => `${name}.json`).sort();
  assert.deepEqual(published, names);
});

for (const { name, lie, check } of lies) {
  test(`published: ${lie}`, () => {
    const file = readJson(`cases/${name}.json`) as CaseFile;
    assert.equal(file.check, check);
    const { bytes, context } = readCase(file, good);
    const verdict = verifyEvidence(bytes, context);
    assert.equal(verdict.verdict, 'refused');
    assert.equal(verdict.reason, check, JSON.stringify(verdict.checks.find(({ ok }) => !ok)));
    assert.equal(verdict.authenticated, !(authenticationIds as readonly string[]).includes(check));
    assert.equal(verdict.clock !== undefined, verdict.authenticated, 'a stranger sets no clock');
  });
}

for (const lie of lies) {
  test(`only ${lie.check} catches: ${lie.lie}`, () => {
    const story = told(lie);
    assert.equal(verifyEvidence(story.bytes, story.context).reason, lie.check);
    const verdict = without(lie.check, story);
    // What cannot be read cannot be passed by leaving one check out: whatever needs it fails as well.
    assert.equal(verdict.verdict, lie.unreadable === true ? 'refused' : 'trusted', verdict.reason);
  });
}

test('of evidence that may be anybody’s, nothing is read beyond who speaks; an auditor sees all of it', () => {
  for (const { check, change } of lies) {
    const { bytes, context } = told({ change });
    const made = verifyEvidence(bytes, context).checks.map(({ id }) => id);
    const stranger = (authenticationIds as readonly string[]).includes(check);
    if (stranger) assert.equal(made.at(-1), check);
    else assert.ok(made.includes('release-rollback'));
    const offline = verifyEvidence(bytes, { ...context, channelKey: 'offline' });
    assert.equal(offline.checks.at(-1)?.id, 'release-rollback');
  }
});

test('every check has a lie that it alone has to catch', () => {
  const caught = new Set(lies.map(({ check }) => check));
  assert.deepEqual(
    checkIds.filter((id) => !caught.has(id)),
    [],
  );
  const alone = new Set(lies.filter(({ unreadable }) => unreadable !== true).map(({ check }) => check));
  assert.deepEqual(
    checkIds.filter((id) => !alone.has(id)),
    [
      // Their lies leave nothing to look at; that everything after them fails is tested above.
      'evidence-format',
      'signature-format',
      'quote-magic',
      'quote-type',
      'quote-format',
      'log-format',
      'release-known',
    ],
  );
});

test('the good story stays good for the other story tellers', () => {
  // Two releases are allowed: the one that matches is picked, wherever it stands.
  const plan = goodPlan();
  const [release] = plan.releases;
  assert.ok(release);
  const older = { version: '1.0', boot: { ...release.boot, commandLine: 'older', image: 'older' } };
  for (const releases of [
    [release, older],
    [older, release],
  ]) {
    const { evidence, context } = settlePlan({ ...plan, releases });
    assert.equal(verifyEvidence(evidence, context).release?.version, '1.1');
  }
  const { evidence, context } = settlePlan({ ...plan, releases: [older] });
  const verdict = verifyEvidence(evidence, context);
  assert.equal(verdict.reason, 'release-measurements');
  const line = verdict.checks.find(({ expected }) => expected?.startsWith('older ') === true);
  assert.match(line?.found ?? '', /^usrhash=00 lockdown=integrity/);
});

test('a refusal says how the TPM went back', () => {
  for (const [name, how] of [
    ['clock-went-back', /ms behind, in the same boot/],
    ['reset-count-went-back', /reset 14 times less/],
    ['restart-count-went-back', /restarted 2 times less/],
    ['clock-went-back-across-resets', /4194305 ms behind, more than a loss of power explains/],
  ] as const) {
    const lie = lies.find((each) => each.name === name);
    assert.ok(lie);
    const { bytes, context } = told(lie);
    const check = verifyEvidence(bytes, context).checks.find(({ id }) => id === 'quote-clock');
    assert.match(check?.message ?? '', how);
    assert.match(check?.message ?? '', /the TPM was put back/);
  }
});

test('a counter that wraps is not a step back', () => {
  const plan = goodPlan();
  const { evidence, context } = settlePlan({
    ...plan,
    clockInfo: { clock: 10n, resetCount: 1, restartCount: 0, safe: false },
  });
  assert.equal(verifyEvidence(evidence, context).verdict, 'trusted');
});

test('enrolment: the good machine is accepted', () => {
  const { claim, context } = settleEnrolment(goodEnrolment());
  const judged = judgeEnrolment(claim, context);
  assert.ok(judged.accepted, JSON.stringify(judged.checks));
  assert.equal(judged.by, 'certificate');
  assert.deepEqual(
    judged.checks.map(({ id }) => id),
    enrolmentCheckIds,
  );
});

interface EnrolmentFile {
  readonly check: string | null;
  readonly claim: { readonly ek: string; readonly ekCertificates: readonly string[]; readonly ak: string };
  readonly context: {
    readonly now: string;
    readonly roots: readonly string[];
    readonly intermediates: readonly string[];
    readonly keys: readonly string[];
    readonly revocation?: { readonly lists: readonly string[]; readonly required: boolean };
  };
}

for (const { name, lie, check } of enrolmentLies) {
  test(`enrolment: ${lie}`, () => {
    const { claim, context, ...file } = readJson(`cases/${name}.json`) as EnrolmentFile;
    const certificates = (list: readonly string[]): ReturnType<typeof parseCertificate>[] =>
      list.map((der) => parseCertificate(bytesOf(der)));
    const judged = judgeEnrolment(
      { ek: bytesOf(claim.ek), ekCertificates: claim.ekCertificates.map(bytesOf), ak: bytesOf(claim.ak) },
      {
        now: Date.parse(context.now),
        policy: {
          trust: {
            endorsementRoots: certificates(context.roots),
            endorsementIntermediates: certificates(context.intermediates),
            endorsementKeys: new Set(context.keys),
            revocation: {
              lists: (context.revocation?.lists ?? []).map((der) => parseRevocationList(bytesOf(der))),
              required: context.revocation?.required ?? false,
              grace: 0,
            },
            release: [],
          },
        },
      },
    );
    assert.equal(file.check, check);
    assert.equal(judged.reason ?? null, check, JSON.stringify(judged.checks));
    assert.equal(judged.accepted, check === null);
    const failed = judged.checks.filter(({ ok }) => !ok).map(({ id }) => id);
    assert.deepEqual(failed, check === null ? [] : [check], 'nothing else fails');
  });
}

test('enrolment: every check has a lie', () => {
  const caught = new Set(enrolmentLies.map(({ check }) => check));
  assert.deepEqual(
    enrolmentCheckIds.filter((id) => !caught.has(id)),
    [],
  );
});
