import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError, fromHex, toHex } from '@osguard/formats/bytes';
import type { EncodableEvent, PcrBank } from '@osguard/formats/eventlog';
import {
  checkEventDigest,
  describeEvent,
  encodeEventLog,
  eventTypes,
  isPcrBank,
  measuredEvent,
  parseEventData,
  parseEventLog,
  parseSpecId,
  replay,
  specIdEvent,
} from '@osguard/formats/eventlog';
import { judge, noJudge, noVectors, scratch, vectors } from '@osguard/testkit';

type Pcrs = Readonly<Record<string, Readonly<Record<string, string>>>>;

interface Row {
  readonly id: string;
  readonly files?: readonly { readonly file: string }[];
  readonly input?: { readonly kind: string; readonly hex: string };
  readonly expected: {
    readonly result: 'accept' | 'reject';
    readonly pcrs?: Pcrs;
    readonly derived?: { readonly pcrs?: Pcrs };
    readonly events?: number;
    readonly algorithms?: readonly string[];
    readonly crypto_agile?: boolean;
    readonly startup_locality?: number | null;
    readonly no_action_events?: number;
    readonly spec_id?: { readonly vendor_info_size: number; readonly version?: string };
    readonly vendor_info_size?: number;
    readonly efi_application_digests?: Readonly<Record<string, readonly string[]>>;
    readonly secure_boot_variable?: { readonly variable_bytes: number; readonly enabled: boolean };
    readonly secure_boot_enabled?: boolean;
    readonly kernel_cmdlines?: readonly string[];
    readonly digests?: Readonly<Record<string, string>>;
  };
}

const found = vectors();
const rows = (found?.rows('2-event-logs') ?? []) as unknown as readonly Row[];
if (found === undefined) test('event logs of public projects', { skip: noVectors });

for (const { id, files, input, expected } of rows) {
  test(`vector ${id}`, () => {
    if (input !== undefined) return checkInline(input, expected);
    const bytes = found?.file(files?.[0]?.file ?? '') ?? new Uint8Array();
    if (expected.result === 'reject') return assert.throws(() => parseEventLog(bytes), FormatError);
    const log = parseEventLog(bytes);
    if (expected.events !== undefined) assert.equal(log.events.length, expected.events);
    if (expected.algorithms !== undefined) assert.deepEqual(log.banks, expected.algorithms);
    if (expected.crypto_agile !== undefined) {
      assert.equal(log.format, expected.crypto_agile ? 'crypto-agile' : 'legacy');
    }
    if (expected.spec_id?.vendor_info_size !== undefined) {
      assert.equal(log.specId?.vendorInfo.length, expected.spec_id.vendor_info_size);
    }
    for (const tables of [expected.pcrs, expected.derived?.pcrs]) {
      for (const [bank, pcrs] of Object.entries(tables ?? {})) {
        assert.ok(isPcrBank(bank));
        const got = Object.fromEntries([...replay(log, bank)].map(([pcr, value]) => [String(pcr), value]));
        assert.deepEqual(got, pcrs, `bank ${bank}`);
      }
    }
    checkContent(log, expected);
  });
}

function checkContent(log: ReturnType<typeof parseEventLog>, expected: Row['expected']): void {
  const quiet = log.events.filter(({ type }) => type === eventTypes.EV_NO_ACTION);
  if (expected.no_action_events !== undefined) assert.equal(quiet.length, expected.no_action_events);
  if (expected.startup_locality !== undefined) {
    const named = quiet.flatMap((event) => {
      const data = parseEventData(event);
      return data.kind === 'startup-locality' ? [data.locality] : [];
    });
    assert.deepEqual(named, expected.startup_locality === null ? [] : [expected.startup_locality]);
  }
  for (const [bank, digests] of Object.entries(expected.efi_application_digests ?? {})) {
    assert.ok(isPcrBank(bank));
    const applications = log.events.filter(
      ({ pcr, type }) => pcr === 4 && type === eventTypes.EV_EFI_BOOT_SERVICES_APPLICATION,
    );
    assert.deepEqual(
      applications.map((event) => toHex(event.digests[bank] ?? new Uint8Array())),
      digests,
    );
  }
  const secureBoot = log.events.flatMap((event) => {
    if (event.type !== eventTypes.EV_EFI_VARIABLE_DRIVER_CONFIG) return [];
    const data = parseEventData(event);
    return data.kind === 'variable' && data.name === 'SecureBoot' ? [data.value] : [];
  });
  const enabled = expected.secure_boot_variable?.enabled ?? expected.secure_boot_enabled;
  if (enabled !== undefined) assert.equal(secureBoot[0]?.[0] === 1, enabled);
  if (expected.secure_boot_variable !== undefined) {
    assert.equal(secureBoot[0]?.length, expected.secure_boot_variable.variable_bytes);
  }
  for (const line of expected.kernel_cmdlines ?? []) {
    const texts = log.events.map((event) => {
      const data = event.type === eventTypes.EV_IPL ? parseEventData(event) : undefined;
      return data?.kind === 'text' ? data.text : '';
    });
    assert.ok(texts.some((text) => text.endsWith(line)));
  }
}

function checkInline({ kind, hex }: { kind: string; hex: string }, expected: Row['expected']): void {
  const bytes = fromHex(hex);
  const parse = (): unknown => {
    if (kind === 'TCG_EfiSpecIdEvent') return parseSpecId(bytes).vendorInfo.length;
    if (kind.startsWith('one TCG_PCR_EVENT2')) {
      return parseEventLog(Buffer.concat([agileLog([]), bytes])).events[1];
    }
    return parseEventLog(bytes);
  };
  if (expected.result === 'reject') return assert.throws(parse, FormatError);
  const got = parse();
  if (expected.vendor_info_size !== undefined) assert.equal(got, expected.vendor_info_size);
  if (expected.digests !== undefined) {
    const digests = (got as { readonly digests: Record<string, Uint8Array> }).digests;
    for (const [bank, digest] of Object.entries(expected.digests)) {
      assert.equal(toHex(digests[bank] ?? new Uint8Array()), digest);
    }
  }
}

const sha256: readonly PcrBank[] = ['sha256'];
const banks: readonly PcrBank[] = ['sha1', 'sha256', 'sha384'];

function agileLog(
  events: readonly EncodableEvent[],
  use: readonly PcrBank[] = sha256,
): Uint8Array<ArrayBuffer> {
  return encodeEventLog({ format: 'crypto-agile', banks: use, events: [specIdEvent(use), ...events] });
}

function textEvent(pcr: number, type: number, text: string): EncodableEvent {
  return measuredEvent({ pcr, type, data: Buffer.from(text) }, banks);
}

/** PCR 0 after these texts were measured. */
function pcr0(start: number, texts: readonly string[]): string {
  let value = Buffer.concat([Buffer.alloc(31), Buffer.of(start)]);
  for (const text of texts) {
    const digest = createHash('sha256').update(text).digest();
    value = createHash('sha256').update(value).update(digest).digest();
  }
  return value.toString('hex');
}

function replayed(...events: readonly EncodableEvent[]): string | undefined {
  return replay(parseEventLog(agileLog(events)), 'sha256').get(0);
}

test('StartupLocality and the H-CRTM decide where PCR 0 starts', () => {
  const code = textEvent(0, eventTypes.EV_POST_CODE, 'code');
  const hcrtm = textEvent(0, eventTypes.EV_EFI_HCRTM_EVENT, 'HCRTM');
  const locality = (value: number): EncodableEvent =>
    textEvent(0, eventTypes.EV_NO_ACTION, `StartupLocality\0${String.fromCharCode(value)}`);
  assert.equal(replayed(code), pcr0(0, ['code']));
  assert.equal(replayed(locality(3), code), pcr0(3, ['code']));
  assert.equal(replayed(hcrtm, code), pcr0(4, ['HCRTM', 'code']));
  assert.equal(replayed(locality(4), hcrtm), pcr0(4, ['HCRTM']));
  assert.throws(() => replayed(code, locality(3)), /after event 1 extended PCR 0/);
  assert.throws(() => replayed(locality(3), locality(3), code), /second time/);
  assert.throws(() => replayed(locality(2), code), /neither 0, 3 nor 4/);
});

test('a bank the log or one event lacks is refused, never replayed as if nothing was extended', () => {
  const event = textEvent(4, eventTypes.EV_ACTION, 'a');
  const { sha256: digest } = event.digests;
  assert.ok(digest !== undefined);
  const log = parseEventLog(agileLog([{ ...event, digests: { sha256: digest } }], ['sha256', 'sha384']));
  assert.equal(replay(log, 'sha256').size, 1);
  assert.throws(() => replay(log, 'sha384'), /event 1: no sha384 digest/);
  assert.throws(() => replay(log, 'sha1'), /no sha1 digests/);
});

test('digests are compared with the data they cover', () => {
  const made = textEvent(4, eventTypes.EV_EFI_ACTION, 'Calling EFI Application from Boot Option');
  const forged = { ...made, digests: { sha256: new Uint8Array(32) } };
  const [, good, bad] = parseEventLog(agileLog([made, forged])).events;
  assert.ok(good !== undefined && bad !== undefined);
  assert.equal(checkEventDigest(good, 'sha256'), 'matches');
  assert.equal(checkEventDigest(bad, 'sha256'), 'differs');
  assert.equal(checkEventDigest({ ...good, type: eventTypes.EV_IPL }, 'sha256'), 'unrelated');
  assert.equal(describeEvent(good), '"Calling EFI Application from Boot Option"');
});

test('what is no log is refused where it stops being one', () => {
  const good = agileLog([textEvent(4, eventTypes.EV_ACTION, 'abc')]);
  const start = agileLog([]).length;
  for (let length = start + 1; length < good.length; length += 1) {
    assert.throws(() => parseEventLog(good.subarray(0, length)), /at byte/);
  }
  assert.throws(() => parseEventLog(good.with(start, 24)), /there is no PCR 24/);
  assert.throws(() => parseEventLog(good.with(start + 8, 2)), /2 digests, 1 banks/);
  assert.throws(() => parseEventLog(good.with(start + 12, 4)), /0x4 is not one of the Spec ID event/);
  assert.throws(() => parseSpecId(specIdEvent(sha256).data.with(24, 0xff)), /255 algorithms/);
  assert.throws(() => parseEventLog(new Uint8Array(5_000_000)), /more than/);
});

test('any log that is made is read back as it was', () => {
  const event = fc
    .record({
      pcr: fc.integer({ min: 0, max: 23 }),
      type: fc.constantFrom(...Object.values(eventTypes)),
      data: fc.uint8Array({ maxLength: 64 }),
    })
    .map((each) => measuredEvent(each, banks));
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), fc.boolean(), (events, legacy) => {
      const bytes = legacy
        ? encodeEventLog({
            format: 'legacy',
            banks: ['sha1'],
            events: [textEvent(0, eventTypes.EV_POST_CODE, ''), ...events],
          })
        : agileLog(events, banks);
      const log = parseEventLog(bytes);
      for (const each of log.events) describeEvent(each);
      assert.equal(toHex(encodeEventLog(log)), toHex(bytes));
    }),
  );
});

const tool = judge('tpm2_eventlog');

test(
  'tpm2_eventlog replays a made log to the same values',
  tool ? {} : { skip: noJudge('tpm2_eventlog') },
  () => {
    using folder = scratch('eventlog');
    const bytes = agileLog(
      [
        textEvent(4, eventTypes.EV_EFI_ACTION, 'Calling EFI Application'),
        textEvent(4, eventTypes.EV_SEPARATOR, '\0\0\0\0'),
        textEvent(11, eventTypes.EV_IPL, '.linux\0'),
      ],
      banks,
    );
    writeFileSync(folder.file('log.bin'), bytes);
    const output = tool?.run([folder.file('log.bin')]).stdout ?? '';
    const table = output.slice(output.indexOf('sha256:', output.indexOf('pcrs:')));
    for (const [pcr, value] of replay(parseEventLog(bytes), 'sha256')) {
      assert.match(table, new RegExp(`\\b${pcr} *: *0x${value}`, 'i'));
    }
  },
);
