/** `osguard attest explain` and `osguard uki measure` on a recorded boot: what a person reads, and what a program gets. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EncodableEvent } from '@osguard/formats/eventlog';
import { encodeEventLog, eventTypes, measuredEvent, parseEventLog } from '@osguard/formats/eventlog';
import { parsePcrSignatures } from '@osguard/formats/pcr-signature';
import { buildUki } from '@osguard/formats/pe';
import { parseReferenceValues } from '@osguard/formats/reference-values';
import { sourceOf } from '@osguard/formats/bytes';
import { initKeys } from '@osguard/keys';
import { makePe, scratch } from '@osguard/testkit';
import { commands } from '../src/commands/index.ts';
import { run } from '../src/run.ts';

const fixtures = join(import.meta.dirname, '../../attest/test/fixtures/booted-host');
const fixture = (name: string): string => join(fixtures, name);
const userspace = fixture('userspace.log');
const release = fixture('reference-values.json');

async function osguard(...argv: readonly string[]): Promise<{ status: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    env: {},
    signal: new AbortController().signal,
  };
  const status = await run(argv, io, { version: '0', commands });
  return { status, out, err };
}

test('a boot that is what the release promises', async () => {
  const words = ['attest', 'explain', fixture('firmware.log'), '--userspace', userspace];
  const { status, out } = await osguard(...words, '--release', release);
  assert.equal(status, 0);
  assert.match(out, /measures what measured-host 0\.1\.0 promises, in phase ready/);
  assert.match(out, /nobody checked who signed this release/);
  assert.doesNotMatch(out, /differs/);
});

/** The recorded boot, as if the boot image carried another command line. */
function otherCommandLine(folder: string, line: string): string {
  const { banks, events } = parseEventLog(readFileSync(fixture('firmware.log')));
  let name = true;
  const changed = events.map((event): EncodableEvent => {
    const says = Buffer.from(event.data).toString('utf16le');
    if (event.type !== eventTypes.EV_IPL || !says.startsWith('.cmdline')) return event;
    name = !name;
    return name ? measuredEvent({ ...event, measured: Buffer.from(line) }, banks) : event;
  });
  const path = join(folder, 'firmware.log');
  writeFileSync(path, encodeEventLog({ format: 'crypto-agile', banks, events: changed }));
  return path;
}

test('a changed argument is shown as a difference, with its place and where the expectation comes from', async () => {
  using folder = scratch('explain');
  const { pcrs } = parseReferenceValues(readFileSync(release));
  const line = pcrs.find(({ pcr }) => pcr === 9)?.events[0]?.text ?? '';
  const other = line.replace('panic=5', 'panic=0');
  const log = otherCommandLine(folder.path, other);
  const words = ['attest', 'explain', log, '--userspace', userspace, '--release', release];
  const { status, out } = await osguard(...words, '--command-line', other);
  assert.equal(status, 1);
  assert.match(out, /does NOT measure what measured-host 0\.1\.0 promises/);
  assert.match(out, /PCR 11 kernel-boot: content of section \.cmdline is another/);
  assert.match(out, /another kernel command line than the release/);
  assert.match(out, /^ {4}- panic=5\n {4}\+ panic=0$/m);
  assert.match(out, /expected: uki\.efi, section \.cmdline/);
  assert.match(out, /found: .*event 33 of the firmware log, byte \d+/);
  assert.match(out, /^differs +11 /m);

  const silent = await osguard(...words);
  assert.match(silent.out, /the log holds its digest, not what it was/);
  assert.match(silent.out, /--command-line/);

  const { out: json } = await osguard(...words, '--command-line', other, '--json');
  const answer = JSON.parse(json) as { ok: boolean; differences: { pcr: number; text: unknown[] }[] };
  assert.equal(answer.ok, false);
  assert.equal(answer.differences.length, 1);
  assert.equal(answer.differences[0]?.pcr, 11);
});

test('without a release the events are listed; what is no log is refused', async () => {
  const { status, out } = await osguard('attest', 'explain', fixture('firmware.log'));
  assert.equal(status, 0);
  assert.match(out, /crypto-agile log, banks sha1, sha256/);
  assert.match(out, /^7 +EV_EFI_VARIABLE_DRIVER_CONFIG .* variable SecureBoot = 01$/m);
  const refused = await osguard('attest', 'explain', fixture('pcrs.json'));
  assert.equal(refused.status, 2);
  const text = await osguard('attest', 'explain', import.meta.filename);
  assert.equal(text.status, 2);
  assert.match(text.err, /attest-explain\.test\.ts: event 0: there is no PCR/);
});

test('a boot image is measured, and its policies are signed', async () => {
  using folder = scratch('uki-measure');
  await initKeys(folder.file('keys'), { roles: ['measure'] });
  const uki = buildUki({
    stub: sourceOf(makePe({ gap: 0x800 })),
    linux: sourceOf(makePe({})),
    cmdline: 'quiet',
    osRelease: 'ID=test\n',
  });
  writeFileSync(folder.file('uki.efi'), uki.read(0, uki.size));
  const words = ['uki', 'measure', folder.file('uki.efi'), '--bank', 'sha384', '--phase', 'enter-initrd'];
  const signing = ['--sign', folder.file('keys'), '--out', folder.file('pcrsig')];
  const { status, out } = await osguard(...words, ...signing);
  assert.equal(status, 0);
  assert.match(out, /^11:sha384=[0-9a-f]{96} {2}enter-initrd$/m);
  assert.match(out, /^11 +content of section \.cmdline +[0-9a-f]{64}$/m);
  const { sha384 = [] } = parsePcrSignatures(readFileSync(folder.file('pcrsig')));
  assert.equal(sha384.length, 1);
  assert.equal((await osguard('uki', 'measure', folder.file('uki.efi'), '--phase', 'A b')).status, 2);
  assert.equal((await osguard('uki', 'measure', folder.file('uki.efi'), '--sign', 'keys')).status, 2);
});
