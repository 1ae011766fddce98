import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { FormatError } from '@osguard/formats/bytes';
import { canonicalJson } from '@osguard/formats/json';
import type { ExpectedEvent, ReferenceValues } from '@osguard/formats/reference-values';
import {
  encodeReferenceValues,
  parseReferenceValues,
  phaseValues,
  referenceValuesSchemaName,
} from '@osguard/formats/reference-values';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const zeros = '00'.repeat(32);
const extend = (value: string, text: string): string =>
  createHash('sha256')
    .update(Buffer.from(value, 'hex'))
    .update(Buffer.from(digest(text), 'hex'))
    .digest('hex');

const events: readonly ExpectedEvent[] = [
  { log: 'firmware', type: 'EV_IPL', digest: digest('.linux\0'), what: 'name of .linux', source: 'uki.efi' },
  {
    log: 'userspace',
    type: 'phase',
    digest: digest('enter-initrd'),
    what: 'phase',
    source: 'systemd',
    begins: 'enter-initrd',
  },
  {
    log: 'userspace',
    type: 'phase',
    digest: digest('ready'),
    what: 'phase',
    source: 'systemd',
    begins: 'ready',
  },
];
const values = phaseValues(events, 'sha256');
const reference: ReferenceValues = {
  name: 'host',
  version: '1.0',
  bank: 'sha256',
  pcrs: [
    { pcr: 11, name: 'kernel-boot', events, values },
    { pcr: 12, name: 'kernel-config', events: [], values: phaseValues([], 'sha256') },
  ],
  firmware: [
    { id: 'separators', kind: 'separators', pcrs: [0, 1], why: 'nothing later can pass for firmware' },
  ],
};

test('a value after each phase', () => {
  const first = extend(zeros, '.linux\0');
  const second = extend(first, 'enter-initrd');
  assert.deepEqual(values, {
    firmware: first,
    'enter-initrd': second,
    'leave-initrd': second,
    sysinit: second,
    ready: extend(second, 'ready'),
  });
  assert.equal(phaseValues([], 'sha256').ready, zeros);
  assert.throws(() => phaseValues([...events].reverse(), 'sha256'), /its phase began before/);
});

test('what is written is read back', () => {
  assert.deepEqual(parseReferenceValues(encodeReferenceValues(reference)), reference);
});

test('values that do not follow from their events are refused, whoever wrote the file', () => {
  const [first, second] = reference.pcrs;
  assert.ok(first !== undefined && second !== undefined);
  const wrong: readonly (readonly [ReferenceValues, RegExp])[] = [
    [{ ...reference, pcrs: [{ ...first, values: second.values }] }, /the events make/],
    [{ ...reference, pcrs: [{ ...first, events: events.slice(1) }] }, /the events make/],
    [{ ...reference, bank: 'sha384' }, /not a sha384 digest/],
    [{ ...reference, pcrs: [second, first] }, /not sorted/],
    [{ ...reference, pcrs: [first, first] }, /not sorted/],
  ];
  for (const [each, why] of wrong) {
    assert.throws(() => encodeReferenceValues(each), why);
    const bytes = Buffer.from(canonicalJson({ schema: referenceValuesSchemaName, ...each }));
    assert.throws(() => parseReferenceValues(bytes), FormatError);
  }
  const unknown = Buffer.from(canonicalJson({ schema: referenceValuesSchemaName, ...reference, extra: 1 }));
  assert.throws(() => parseReferenceValues(unknown), /extra/);
});
