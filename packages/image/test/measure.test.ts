import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { sourceOf } from '@osguard/formats/bytes';
import { isPcrBank } from '@osguard/formats/eventlog';
import { buildUki, parsePe } from '@osguard/formats/pe';
import { encodePcrSignatures } from '@osguard/formats/pcr-signature';
import { encodePem } from '@osguard/formats/x509';
import { phaseValues } from '@osguard/formats/reference-values';
import { initKeys, loadKeyring, signPcrPolicy } from '@osguard/keys';
import { sectionEvents } from '../src/measure/uki-sections.ts';
import {
  calculatePcr11,
  isMeasuredSection,
  sectionsFromBytes,
  sectionsOfUki,
  ukiEvents,
} from '@osguard/image';
import type { MeasuredSection } from '@osguard/image';
import { judge, makePe, noVectors, scratch, vectors } from '@osguard/testkit';

const found = vectors();

interface Row {
  readonly id: string;
  readonly input: {
    readonly sections: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
    readonly phase?: string;
    readonly phases?: readonly string[];
  };
  readonly expected: {
    readonly value?: string;
    readonly values?: Readonly<Record<string, string>>;
    readonly derived?: { readonly values?: Readonly<Record<string, string>>; readonly pcr11?: string };
  };
}

const rows = ((found?.rows('6-measure-and-policy') ?? []) as unknown as readonly Row[]).filter(
  ({ input }) => (input as Row['input'] | undefined)?.sections !== undefined,
);
if (found === undefined) test('PCR 11 of public projects', { skip: noVectors });

for (const { id, input, expected } of rows) {
  test(`vector ${id}`, () => {
    if (isList(input.sections)) return checkDigests(input.sections, expected.value ?? '');
    const parts = new Map<MeasuredSection, Uint8Array>();
    for (const [key, content] of Object.entries(input.sections)) {
      const name = `.${key}`;
      assert.ok(isMeasuredSection(name), name);
      // The test of systemd spells line ends as two characters.
      parts.set(name, Buffer.from(content.replaceAll('\\n', '\n')));
    }
    const phases = input.phases?.join(':') ?? input.phase ?? '';
    const values = {
      ...expected.values,
      ...expected.derived?.values,
      ...(expected.derived?.pcr11 !== undefined && { sha256: expected.derived.pcr11 }),
    };
    assert.notDeepEqual(values, {});
    for (const [bank, value] of Object.entries(values)) {
      assert.ok(isPcrBank(bank));
      const paths = [phases === ':' ? '' : phases];
      const [got] = calculatePcr11(sectionsFromBytes(parts), { bank, paths });
      assert.equal(got?.value, value, bank);
    }
  });
}

type Digests = readonly (readonly [string, string])[];

function isList(sections: Row['input']['sections']): sections is Digests {
  return Array.isArray(sections);
}

/** Contents are given by their digests; sections that are not measured are left out. */
function checkDigests(sections: Digests, value: string): void {
  const given = new Map(sections);
  const parts = [...given.keys()].filter(isMeasuredSection).map((name) => [name, new Uint8Array()] as const);
  const events = sectionEvents(sectionsFromBytes(new Map(parts)), { bank: 'sha256' }).map((event) => {
    const name = event.source.split(' ').at(-1) ?? '';
    return event.what.startsWith('content') ? { ...event, digest: given.get(name) ?? '' } : event;
  });
  assert.equal(phaseValues(events, 'sha256').ready, value);
}

test(
  'PCR 4 is extended by the action, the separator and the image',
  { skip: found === undefined && noVectors },
  () => {
    const row = found?.rows('6-measure-and-policy').find(({ id }) => id === 'pcr/constellation/pcr4');
    const { pcr4 } = ukiEvents(smallUki());
    const images = ['00', '01'].map((byte) => byte.repeat(32));
    const image = pcr4[2];
    assert.ok(image !== undefined);
    const events = [...pcr4.slice(0, 2), ...images.map((digest) => ({ ...image, digest }))];
    const expected = events.map(({ type, digest, what, source }) => ({
      log: 'firmware' as const,
      type,
      digest,
      what,
      source,
    }));
    const { value } = (row?.['expected'] ?? {}) as { readonly value?: string };
    assert.equal(phaseValues(expected, 'sha256').ready, value);
  },
);

const parts = {
  '.linux': makePe({}).slice(),
  '.osrel': Buffer.from('ID=test\n'),
  '.cmdline': Buffer.from('console=ttyS0 quiet'),
  '.initrd': Buffer.alloc(5001, 3),
};

function smallUki(): ReturnType<typeof buildUki> {
  return buildUki({
    stub: sourceOf(makePe({ gap: 0x800 })),
    linux: sourceOf(parts['.linux']),
    initrd: sourceOf(parts['.initrd']),
    cmdline: parts['.cmdline'].toString(),
    osRelease: parts['.osrel'].toString(),
  });
}

test('sections of a UKI are measured as the files they were made from', () => {
  const uki = smallUki();
  const own = parsePe(uki).sections.map(({ name }) => name);
  assert.ok(own.includes('.linux'));
  const fromFiles = new Map<MeasuredSection, Uint8Array>();
  for (const [name, bytes] of Object.entries(parts)) if (isMeasuredSection(name)) fromFiles.set(name, bytes);
  for (const bank of ['sha256', 'sha512'] as const) {
    assert.deepEqual(
      calculatePcr11(sectionsOfUki(uki), { bank }),
      calculatePcr11(sectionsFromBytes(fromFiles), { bank }),
    );
  }
});

function lineDigest(cmdline: string): string | undefined {
  const stub = sourceOf(makePe({ gap: 0x800 }));
  const uki = buildUki({ stub, linux: sourceOf(makePe({})), cmdline });
  return ukiEvents(uki).pcr9.find(({ what }) => what.startsWith('command line'))?.digest;
}

test('the kernel is given the command line without blanks around it', () => {
  const expected = createHash('sha256').update(Buffer.from('a  b\0', 'utf16le')).digest('hex');
  assert.equal(lineDigest(' a \tb  '), expected);
  assert.equal(lineDigest('a  b'), expected);
  assert.equal(lineDigest('  '), undefined);
});

const systemdMeasure = judge('systemd-measure') ?? judge('../lib/systemd/systemd-measure');

describe(
  'systemd-measure',
  { skip: systemdMeasure === undefined && 'systemd-measure is not on this machine' },
  () => {
    test('calculates and signs the same', async (t) => {
      using folder = scratch('measure');
      await initKeys(folder.file('keys'), { roles: ['measure'] });
      const keyring = await loadKeyring(folder.file('keys'));
      const files = Object.entries(parts).map(([name, bytes]) => {
        writeFileSync(folder.file(name), bytes);
        return `--${name.slice(1)}=${folder.file(name)}`;
      });
      const paths = ['enter-initrd', 'enter-initrd:leave-initrd', 'enter-initrd:leave-initrd:sysinit:ready'];
      const phases = paths.map((path) => `--phase=${path}`);
      const ours = calculatePcr11(sectionsOfUki(smallUki()), { bank: 'sha256', paths });
      const calculated = systemdMeasure?.run(['calculate', '--bank=sha256', ...files, ...phases]);
      assert.equal(calculated?.status, 0, calculated?.stderr);
      assert.deepEqual(
        calculated.stdout.match(/(?<=^11:sha256=)[0-9a-f]+/gm),
        ours.map(({ value }) => value),
      );
      writeFileSync(
        folder.file('measure.pub'),
        encodePem('PUBLIC KEY', keyring.certificate('measure').publicKey),
      );
      const signed = systemdMeasure?.run([
        'sign',
        '--bank=sha256',
        `--private-key=${folder.file('keys')}/measure.key`,
        `--public-key=${folder.file('measure.pub')}`,
        '--json=short',
        ...files,
        ...phases,
      ]);
      if (signed?.status !== 0 && /tpm|tcti/i.test(signed?.stderr ?? '')) {
        return t.skip('this systemd-measure calculated the same, but signs only beside a TPM');
      }
      assert.equal(signed?.status, 0, signed?.stderr);
      const signer = await keyring.signer('measure');
      const entries = await Promise.all(
        ours.map(({ value }) => signPcrPolicy(signer, { bank: 'sha256', values: new Map([[11, value]]) })),
      );
      assert.equal(signed.stdout.trim(), encodePcrSignatures({ sha256: entries }).trim());
    });
  },
);
