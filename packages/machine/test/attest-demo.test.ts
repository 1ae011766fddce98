/** What the demonstration is made of, without a machine. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { sourceOf } from '@osguard/formats/bytes';
import { appendSections, parsePe, readUkiSection, verifyPe } from '@osguard/formats/pe';
import { parseCertificate } from '@osguard/formats/x509';
import { initKeys, loadKeyring } from '@osguard/keys';
import { makePe, scratch } from '@osguard/testkit';

import { addonOf, withInitrdFile, withoutIpePolicy } from '../src/attest-demo/boot-images.ts';
import { judgeBoot } from '../src/attest-demo/judge-boot.ts';
import type { Seen } from '../src/attest-demo/index.ts';
import { scenarios } from '../src/attest-demo/index.ts';

const seen: Seen = {
  outcome: { end: 'refused', lines: ['attest: REFUSED by the verifier'], seconds: 40 },
  trust: 'refused',
  reason: 'release-measurements',
  failed: [
    { id: 'release-measurements', ok: false, message: 'differs', expected: 'a', found: 'b', where: 'PCR 4' },
  ],
  decisions: [{ kind: 'enrolment.refused', subject: 'ab', reason: 'reenrolment-needed' }],
};

describe('a boot', () => {
  const says = [/^release-measurements: differs; expected a; found b; at PCR 4$/];

  it('is right when machine and verifier say what they must', () => {
    const { ok, evidence } = judgeBoot(seen, { end: 'refused', trust: 'refused', says });
    assert.ok(ok);
    assert.equal(evidence.length, 1);
    const decided = [/^enrolment\.refused ab reenrolment-needed$/];
    assert.ok(judgeBoot({ ...seen, failed: [] }, { end: 'refused', says: decided }).ok);
  });

  it('is wrong when it ends otherwise, for another reason, or only one of them says so', () => {
    assert.ok(!judgeBoot(seen, { end: 'trusted', says: [] }).ok);
    assert.ok(!judgeBoot(seen, { end: 'refused', trust: 'refused', says: [/^secure-boot/] }).ok);
    assert.ok(!judgeBoot({ ...seen, trust: 'trusted' }, { end: 'refused', trust: 'refused', says }).ok);
    const found = judgeBoot(seen, { end: 'refused', says: [/^quote-clock/] }).found;
    assert.match(found, /nothing says .*quote-clock/);
  });

  it('is wrong when something else was the first reason', () => {
    const clock = { id: 'quote-clock', ok: false, message: 'older' };
    const other: Seen = { ...seen, failed: [clock, ...seen.failed] };
    assert.ok(!judgeBoot(other, { end: 'refused', trust: 'refused', says }).ok);
  });

  it('does not take the checks of an earlier boot for its own', () => {
    const silent: Seen = { ...seen, outcome: { end: 'halted', lines: ['osguard: off'], seconds: 9 } };
    assert.ok(!judgeBoot(silent, { end: 'halted', says }).ok);
  });
});

describe('the scenarios', () => {
  it('begin with the machine as released and end with it and what needs it to have been seen', () => {
    const ids = scenarios.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(ids[0], 'unchanged-before');
    assert.deepEqual(ids.slice(-2), ['unchanged-after', 'tpm-put-back']);
  });
});

describe('boot images of the holder of the boot key', async () => {
  using folder = scratch('attest-demo');
  await initKeys(folder.file('keys'), { roles: ['boot'] });
  const keyring = await loadKeyring(folder.file('keys'));
  const boot = await keyring.signer('boot');
  const uki = appendSections(sourceOf(makePe({})), [
    { name: '.linux', body: sourceOf(Buffer.from('kernel')) },
    { name: '.initrd', body: sourceOf(Buffer.from('init')) },
    { name: '.cmdline', body: sourceOf(Buffer.from('quiet --')) },
  ]);
  const trusted = [parseCertificate(keyring.certificate('boot').der)];

  for (const [name, change] of [
    ['one more file', withInitrdFile],
    ['no IPE policy', withoutIpePolicy],
  ] as const) {
    it(`are signed and differ in the initrd alone: ${name}`, async () => {
      const bytes = await change(uki, boot);
      const image = parsePe(bytes);
      const text = (section: string): string => {
        const body = readUkiSection(image, section);
        return body === undefined ? '' : Buffer.from(body.read(0, body.size)).toString('latin1');
      };
      assert.equal(text('.cmdline'), 'quiet --');
      assert.equal(text('.linux'), 'kernel');
      assert.ok(text('.initrd').startsWith('init070701'));
      assert.ok(verifyPe(bytes, { trusted }).ok);
    });
  }

  it('an add-on carries an argument and nothing to start', async () => {
    const image = parsePe(await addonOf(uki, 'debug', boot));
    const size = (section: string): number => readUkiSection(image, section)?.size ?? 0;
    assert.equal(size('.cmdline'), 5);
    assert.equal(size('.linux'), 0);
    assert.equal(size('.initrd'), 0);
  });
});
