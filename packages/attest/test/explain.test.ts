import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Comparison, Difference } from '@osguard/attest';
import { brokenFirmwareRules, changedParts, compareWithRelease, diffTexts } from '@osguard/attest';
import { toHex } from '@osguard/formats/bytes';
import type { EncodableEvent, EventLog, LogEvent } from '@osguard/formats/eventlog';
import {
  encodeEventLog,
  eventTypes,
  measuredEvent,
  parseEventData,
  parseEventLog,
} from '@osguard/formats/eventlog';
import type { FirmwareRule } from '@osguard/formats/reference-values';
import { parseReferenceValues } from '@osguard/formats/reference-values';
import { encodeUserspaceLog, parseUserspaceLog } from '@osguard/formats/userspace-log';

/** A boot of the container host under OVMF with swtpm, and what was predicted for it. */
const fixture = (name: string): Buffer =>
  readFileSync(join(import.meta.dirname, 'fixtures/booted-host', name));
const log = parseEventLog(fixture('firmware.log'));
const records = parseUserspaceLog(fixture('userspace.log'));
const reference = parseReferenceValues(fixture('reference-values.json'));
const pcrs = JSON.parse(fixture('pcrs.json').toString()) as Record<string, string>;
const line = reference.pcrs.find(({ pcr }) => pcr === 9)?.events[0]?.text ?? '';
const banks = log.banks;

type Change = (event: LogEvent) => EncodableEvent | readonly EncodableEvent[];

/** The recorded log with some events replaced. */
function changed(change: Change): EventLog {
  const [first, ...rest] = log.events;
  assert.ok(first !== undefined);
  return parseEventLog(
    encodeEventLog({ format: 'crypto-agile', banks, events: [first, ...rest.flatMap(change)] }),
  );
}

/** An event of the same type and data whose digests cover other bytes. */
function remeasured({ pcr, type, data }: LogEvent, measured: Uint8Array): EncodableEvent {
  return measuredEvent({ pcr, type, data, measured }, banks);
}

function saysSection({ pcr, data }: LogEvent, name: string): boolean {
  return pcr === 11 && Buffer.from(data).toString('utf16le').startsWith(name);
}

function compare(other: EventLog, commandLine?: string): Comparison {
  return compareWithRelease({ log: other, records, reference, commandLine });
}

function only(comparison: Comparison, pcr: number): Difference {
  const [difference, ...others] = comparison.differences.filter((each) => each.pcr === pcr);
  assert.ok(difference !== undefined);
  assert.equal(others.length, 0, JSON.stringify(others));
  return difference;
}

test('the recorded boot is what was predicted for it', () => {
  const comparison = compare(log);
  assert.deepEqual(comparison.differences, []);
  assert.deepEqual(comparison.broken, []);
  assert.ok(comparison.ok);
  assert.equal(comparison.phase, 'ready');
  for (const { pcr, expected, found } of comparison.pcrs) {
    assert.equal(expected, pcrs[String(pcr)]);
    assert.equal(found, pcrs[String(pcr)]);
  }
});

test('a changed argument is shown as the words that changed', () => {
  const other = line.replace('panic=5', 'panic=0 debug');
  assert.notEqual(other, line);
  let content = false;
  const booted = changed((event) => {
    if (saysSection(event, '.cmdline')) {
      content = !content;
      return content ? event : remeasured(event, Buffer.from(other));
    }
    const data = event.type === eventTypes.EV_EVENT_TAG ? parseEventData(event) : undefined;
    if (data?.kind === 'tagged' && data.text?.includes('LoadOptions') === true) {
      return remeasured(event, Buffer.from(`${other}\0`, 'utf16le'));
    }
    return event.type === eventTypes.EV_EFI_BOOT_SERVICES_APPLICATION
      ? remeasured(event, Buffer.from('another image'))
      : event;
  });
  const comparison = compare(booted, other);
  assert.ok(!comparison.ok);
  assert.deepEqual(
    comparison.pcrs.filter(({ ok }) => !ok).map(({ pcr }) => pcr),
    [4, 9, 11],
  );
  const [first] = comparison.differences;
  assert.equal(first?.kind, 'changed');
  assert.equal(first.expected?.text, line);
  assert.equal(first.found?.text, other);
  assert.match(first.expected?.source ?? '', /uki\.efi, section \.cmdline/);
  assert.deepEqual(
    first.text?.filter(({ kind }) => kind !== 'same'),
    [
      { kind: 'removed', text: 'panic=5' },
      { kind: 'added', text: 'panic=0 debug' },
    ],
  );
  assert.match(only(comparison, 11).meaning ?? '', /another kernel command line/);
  assert.match(only(comparison, 4).meaning ?? '', /another boot image/);
  // A machine that lies about its command line, or says nothing, gets no text of its own shown.
  for (const claim of [undefined, `${line} harmless`]) {
    const told = only(compare(booted, claim), 11);
    assert.equal(told.kind, 'changed');
    assert.equal(told.found?.text, undefined);
    assert.equal(told.text, undefined);
  }
});

test('an argument from outside is shown with the text the stub measured', () => {
  const extra = 'init=/bin/sh';
  const addition = measuredEvent(
    { pcr: 12, type: eventTypes.EV_IPL, data: Buffer.from(`${extra}\0`, 'utf16le') },
    banks,
  );
  const booted = changed((event) => (event.pcr === 9 ? [addition, event] : event));
  const difference = compare(booted).differences.find(({ pcr }) => pcr === 12);
  assert.equal(difference?.kind, 'unexpected');
  assert.equal(difference.found?.text, extra);
  assert.match(difference.meaning ?? '', /argument, a credential or an add-on/);
});

function isVariable(event: LogEvent, name: string): boolean {
  if (event.pcr !== 7 || event.type === eventTypes.EV_SEPARATOR) return false;
  const data = parseEventData(event);
  return data.kind === 'variable' && data.name === name;
}

test('Secure Boot off, a foreign certificate and a second program are named', () => {
  const off = changed((event) => {
    if (!isVariable(event, 'SecureBoot')) return event;
    const data = Uint8Array.from(event.data);
    data[data.length - 1] = 0;
    return measuredEvent({ pcr: 7, type: event.type, data }, banks);
  });
  const secureBoot = only(compare(off), 7);
  assert.deepEqual(secureBoot.text, [
    { kind: 'removed', text: '01' },
    { kind: 'added', text: '00' },
  ]);
  assert.match(secureBoot.meaning ?? '', /Secure Boot is not on/);

  const kek = changed((event) => {
    if (!isVariable(event, 'KEK')) return event;
    const name = Buffer.from('osguard exchange');
    const data = Buffer.from(event.data);
    const at = data.indexOf(name);
    assert.ok(at > 0);
    data.write('foreign exchange', at);
    return measuredEvent({ pcr: 7, type: event.type, data }, banks);
  });
  assert.match(only(compare(kek), 7).meaning ?? '', /trusts other keys/);

  const shell = changed((event) =>
    event.type === eventTypes.EV_EFI_BOOT_SERVICES_APPLICATION
      ? [remeasured(event, Buffer.from('shell')), event]
      : event,
  );
  const second = only(compare(shell), 4);
  assert.equal(second.kind, 'unexpected');
  assert.match(second.meaning ?? '', /another program ran/);
});

test('the phase the machine is in decides what is expected', () => {
  const part = compareWithRelease({ log, records: records.slice(0, 2), reference });
  assert.ok(part.ok);
  assert.equal(part.phase, 'leave-initrd');
  const early = compareWithRelease({ log, records: [], reference });
  assert.ok(early.ok);
  assert.equal(early.phase, 'firmware');
  const [last] = records.slice(-1);
  assert.ok(last !== undefined);
  const digest = createHash('sha256').update('shutdown').digest();
  const more = [...records, { ...last, digests: { sha256: digest }, text: 'shutdown' }];
  const leaving = compareWithRelease({
    log,
    records: parseUserspaceLog(encodeUserspaceLog(more)),
    reference,
  });
  assert.equal(only(leaving, 11).kind, 'unexpected');
});

test('quoted values win over logs that tell another story', () => {
  const values = new Map([[11, 'ab'.repeat(32)]]);
  const comparison = compareWithRelease({ log, records, reference, values });
  const pcr11 = comparison.pcrs.find(({ pcr }) => pcr === 11);
  assert.equal(pcr11?.ok, false);
  assert.equal(pcr11?.logsLie, pcrs['11']);
});

test('events of another release are recognised', () => {
  const digest = createHash('sha256').update('old').digest();
  const event = { ...reference.pcrs[3]?.events[5], digest: toHex(digest) };
  assert.equal(reference.pcrs[3]?.pcr, 9);
  const old = {
    ...reference,
    version: '0.0.9',
    pcrs: reference.pcrs.map((each) =>
      each.pcr === 4
        ? { ...each, events: each.events.map((e, i) => (i === 2 ? { ...e, digest: event.digest } : e)) }
        : each,
    ),
  };
  const booted = changed((e) =>
    e.type === eventTypes.EV_EFI_BOOT_SERVICES_APPLICATION ? remeasured(e, Buffer.from('old')) : e,
  );
  const comparison = compareWithRelease({ log: booted, records, reference, known: [old] });
  assert.equal(only(comparison, 4).knownFrom, `${reference.name} 0.0.9`);
});

/** The event behind the separator of this PCR. */
function after(pcr: number, added: EncodableEvent): Change {
  return (event) => (event.pcr === pcr && event.type === eventTypes.EV_SEPARATOR ? [event, added] : event);
}

const ruleNamed = (id: string): readonly FirmwareRule[] => {
  const rule = reference.firmware.find((each) => each.id === id);
  assert.ok(rule !== undefined);
  return [rule];
};

test('each rule for firmware is broken by what it is there for', () => {
  const separator = measuredEvent({ pcr: 2, type: eventTypes.EV_SEPARATOR, data: new Uint8Array(4) }, banks);
  const driver = measuredEvent(
    { pcr: 2, type: eventTypes.EV_EFI_BOOT_SERVICES_DRIVER, data: new Uint8Array(32) },
    banks,
  );
  const cases: readonly (readonly [string, Change, RegExp])[] = [
    ['separators', after(2, separator), /second separator/],
    [
      'separators',
      (e) => (e.pcr === 3 && e.type === eventTypes.EV_SEPARATOR ? [] : e),
      /PCR 3 has no separator/,
    ],
    [
      'separators',
      (e) =>
        e.pcr === 6 && e.type === eventTypes.EV_SEPARATOR
          ? measuredEvent({ ...e, data: Uint8Array.of(1, 0, 0, 0) }, banks)
          : e,
      /no separator of firmware that did its work/,
    ],
    [
      'digests',
      (e) => (e.type === eventTypes.EV_S_CRTM_VERSION ? remeasured(e, Buffer.from('x')) : e),
      /another digest than its data/,
    ],
    ['firmware-code', after(0, { ...separator, pcr: 0, type: eventTypes.EV_IPL }), /has no place there/],
    ['no-drivers', after(2, driver), /driver nobody allowed/],
    // The digest of a driver under other names: types are not measured.
    ['no-drivers', after(2, { ...driver, type: eventTypes.EV_IPL }), /driver nobody allowed/],
    ['no-drivers', after(2, { ...driver, type: eventTypes.EV_ACTION }), /driver nobody allowed/],
    ['no-drivers', after(2, { ...driver, type: eventTypes.EV_SEPARATOR }), /driver nobody allowed/],
    [
      'no-applications',
      after(2, { ...driver, type: eventTypes.EV_EFI_BOOT_SERVICES_APPLICATION }),
      /has no place there/,
    ],
    [
      'boot-attempt',
      (e) => (e.pcr === 5 && e.type === eventTypes.EV_EFI_ACTION ? [] : e),
      /lacks "Exit Boot Services Invocation"/,
    ],
    [
      'boot-attempt',
      (e) => (e.pcr === 5 && e.type === eventTypes.EV_EFI_ACTION ? [e, e] : e),
      /stands where|once more/,
    ],
  ];
  for (const [id, change, why] of cases) {
    const rules = ruleNamed(id);
    assert.deepEqual(brokenFirmwareRules(rules, log, 'sha256'), []);
    const [broken] = brokenFirmwareRules(rules, changed(change), 'sha256');
    assert.match(broken?.message ?? '', why, id);
  }
});

test('words and lines that changed', () => {
  assert.deepEqual(diffTexts('a b c', 'a x c d'), [
    { kind: 'same', text: 'a' },
    { kind: 'removed', text: 'b' },
    { kind: 'added', text: 'x' },
    { kind: 'same', text: 'c' },
    { kind: 'added', text: 'd' },
  ]);
  assert.deepEqual(diffTexts('one\ntwo', 'one\nthree'), [
    { kind: 'same', text: 'one' },
    { kind: 'removed', text: 'two' },
    { kind: 'added', text: 'three' },
  ]);
  assert.deepEqual(diffTexts('', ''), []);
  assert.deepEqual(changedParts(diffTexts('a b c', 'a x c d')), { expected: '… b …', found: '… x … d' });
  assert.deepEqual(changedParts(diffTexts('a', 'a b')), { expected: 'nothing there', found: '… b' });
});
