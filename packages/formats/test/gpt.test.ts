import assert from 'node:assert/strict';
import { openSync, ftruncateSync, writeSync, closeSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeGuid, FormatError, fromHex, parseGuid, sourceOf } from '@osguard/formats/bytes';
import {
  encodeGpt,
  gptAttributes,
  gptTypeName,
  gptTypes,
  layoutDisk,
  parseGptHeader,
  partitionExtent,
  readGpt,
} from '@osguard/formats/gpt';
import type { EncodeGptOptions } from '@osguard/formats/gpt';
import { judge, noJudge, noVectors, scratch, vectors } from '@osguard/testkit';

const diskGuid = '0eab22a8-78e2-9b4d-b3fa-7fdb7366d15c';
const guid = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

function image(options: EncodeGptOptions): Uint8Array {
  const { primary, backup } = encodeGpt(options);
  const bytes = new Uint8Array(options.sectors * (options.sectorSize ?? 512));
  bytes.set(primary.bytes, primary.offset);
  bytes.set(backup.bytes, backup.offset);
  return bytes;
}

const host: EncodeGptOptions = {
  sectors: 4096,
  diskGuid,
  partitions: [
    { type: gptTypes.esp, guid: guid(1), firstLba: 2048, lastLba: 2099, attributes: 0n, name: 'esp' },
    {
      type: gptTypes.usrX86_64,
      guid: guid(2),
      firstLba: 2100,
      lastLba: 2999,
      attributes: gptAttributes.readOnly | gptAttributes.noAuto,
      name: 'usr-ä€😀',
    },
  ],
};

test('a GUID is stored with its first three fields little-endian', () => {
  assert.deepEqual(encodeGuid(gptTypes.esp), fromHex('28732ac11ff8d211ba4b00a0c93ec93b'));
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) =>
      assert.deepEqual([...encodeGuid(parseGuid(bytes))], [...bytes]),
    ),
  );
  assert.throws(() => encodeGuid('c12a7328'), FormatError);
});

const arbitraryDisk = fc
  .record({
    sectorSize: fc.constantFrom(512 as const, 4096 as const),
    alignment: fc.constantFrom(4096, 65_536),
    sizes: fc.array(fc.integer({ min: 1, max: 200_000 }), { maxLength: 12 }),
    names: fc.array(fc.string({ maxLength: 36, unit: 'binary' }), { minLength: 12, maxLength: 12 }),
    attributes: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    entryCount: fc.constantFrom(128, 16, 256),
  })
  .map(({ sectorSize, alignment, sizes, names, attributes, entryCount }): EncodeGptOptions => {
    const layout = layoutDisk({ sizes, sectorSize, alignment, entryCount });
    return {
      sectorSize,
      sectors: layout.sectors,
      diskGuid,
      entryCount,
      partitions: layout.extents.map(({ firstLba, lastLba }, i) => ({
        index: i,
        type: gptTypes.linuxGeneric,
        guid: guid(i + 1),
        firstLba,
        lastLba,
        attributes,
        name: (names[i] ?? '').replaceAll('\0', '').slice(0, 36),
      })),
    };
  });

test('what is encoded is read back, without findings', () => {
  fc.assert(
    fc.property(arbitraryDisk, (disk) => {
      const read = readGpt(sourceOf(image(disk)));
      assert.deepEqual(read.findings, []);
      assert.equal(read.copy, 'primary');
      assert.equal(read.sectorSize, disk.sectorSize);
      assert.equal(read.diskGuid, disk.diskGuid);
      assert.deepEqual(read.partitions, disk.partitions);
    }),
    { numRuns: 60 },
  );
});

test('a byte changed in the primary copy is found, and the backup is read', () => {
  const good = image(host);
  const expected = readGpt(sourceOf(good)).partitions;
  const checked = [...Array(92).keys()].map((i) => 512 + i).concat([1024, 1100, 1024 + 16_383]);
  for (const at of checked) {
    const bad = Uint8Array.from(good);
    bad[at] = (bad[at] ?? 0) ^ 0x10;
    const read = readGpt(sourceOf(bad), { sectorSize: 512 });
    assert.equal(read.copy, 'backup', `byte ${at}`);
    assert.equal(read.findings[0]?.where, 'primary');
    assert.deepEqual(read.partitions, expected);
  }
});

test('a damaged backup is a finding, two damaged copies are an error', () => {
  const bytes = image(host);
  bytes[bytes.length - 512 + 20] = 1;
  bytes[bytes.length - 512 + 16] = 1;
  const read = readGpt(sourceOf(bytes));
  assert.equal(read.copy, 'primary');
  assert.deepEqual(
    read.findings.map(({ where }) => where),
    ['backup'],
  );
  bytes[600] = 1;
  assert.throws(() => readGpt(sourceOf(bytes)), { name: 'FormatError', code: 'malformed' });
});

test('an enlarged disk and a hybrid MBR are told', () => {
  const bytes = new Uint8Array(4096 * 512 + 1024 * 1024);
  bytes.set(image(host));
  const { findings } = readGpt(sourceOf(bytes));
  assert.match(findings.map(({ message }) => message).join('\n'), /covers 4095 blocks[^]*not at the last/);
  const hybrid = image(host);
  hybrid[446 + 16 + 4] = 0x83;
  assert.match(readGpt(sourceOf(hybrid)).findings[0]?.message ?? '', /hybrid/);
});

test('overlapping, misplaced and ambiguous partitions are refused', () => {
  const [esp, usr] = host.partitions;
  assert.ok(esp && usr);
  const cases: readonly (readonly [EncodeGptOptions['partitions'], RegExp])[] = [
    [[esp, { ...usr, firstLba: 2099 }], /overlaps/],
    [[{ ...esp, firstLba: 33 }], /outside the usable/],
    [[{ ...esp, lastLba: 4096 - 33 }], /outside the usable/],
    [[{ ...esp, lastLba: 2047 }], /not a range/],
    [[esp, { ...usr, guid: guid(1).toUpperCase() }], /same unique GUID/],
    [[{ ...esp, index: 128 }], /128 entries/],
    [
      [
        { ...esp, index: 1 },
        { ...usr, index: 1 },
      ],
      /used twice/,
    ],
    [[{ ...esp, name: 'x'.repeat(37) }], /longer than 36/],
    [[{ ...esp, type: '00000000-0000-0000-0000-000000000000' }], /nil type/],
  ];
  for (const [partitions, message] of cases) {
    assert.throws(() => encodeGpt({ ...host, partitions }), message);
  }
  assert.throws(() => encodeGpt({ ...host, sectors: 60, partitions: [] }), /no room/);
});

test('the layout is aligned and leaves room for both tables', () => {
  const layout = layoutDisk({ sizes: [1, 1024 * 1024, 3_000_000], minDiskSize: 20_000_000 });
  assert.deepEqual(
    layout.extents.map(({ offset, size }) => [offset / 2 ** 20, size / 2 ** 20]),
    [
      [1, 1],
      [2, 1],
      [3, 3],
    ],
  );
  assert.equal(layout.diskSize, 20 * 2 ** 20);
  assert.deepEqual(partitionExtent({ firstLba: 2048, lastLba: 4095 }, 512), {
    offset: 2 ** 20,
    size: 2 ** 20,
  });
  assert.equal(gptTypeName(gptTypes.usrVeritySigX86_64.toUpperCase()), 'usrVeritySigX86_64');
});

const given = vectors();
test('public vectors', { skip: given === undefined && noVectors }, () => {
  assert.ok(given);
  for (const row of given.rows('5-uefi').filter(({ id }) => id.startsWith('gpt/'))) {
    if (row.id === 'gpt/inline-header') {
      const header = parseGptHeader(fromHex((row['input'] as { hex: string }).hex));
      const expected = row['expected'] as Record<string, unknown>;
      assert.equal(header.alternateLba, expected['alternate_lba']);
      assert.equal(header.diskGuid, expected['disk_guid']);
      assert.equal(header.entriesCrc32, expected['array_crc32']);
      continue;
    }
    const source = sourceOf(given.file((row['files'] as [{ file: string }])[0].file));
    const expected = row['expected'] as {
      result: { primary: string; backup?: string };
      primary: { partitions: Record<string, unknown>[] };
    };
    if (expected.result.primary === 'reject') {
      assert.throws(() => readGpt(source), { code: 'not-this-format' }, row.id);
      continue;
    }
    const read = readGpt(source);
    assert.equal(read.copy, 'primary');
    assert.deepEqual(
      read.findings.map(({ where }) => where),
      expected.result.backup === 'reject' ? ['backup'] : [],
    );
    assert.deepEqual(
      read.partitions.map((p) => ({
        index: p.index,
        type: p.type,
        guid: p.guid,
        first: p.firstLba,
        last: p.lastLba,
        attributes: Number(p.attributes),
        name: p.name,
      })),
      expected.primary.partitions,
    );
  }
});

const sgdisk = judge('sgdisk');
test('sgdisk finds no problems and reads the same', { skip: !sgdisk && noJudge('sgdisk') }, () => {
  assert.ok(sgdisk);
  using dir = scratch('gpt');
  const layout = layoutDisk({ sizes: [64 * 2 ** 20, 300 * 2 ** 20, 16_384] });
  const types = [gptTypes.esp, gptTypes.usrX86_64, gptTypes.usrVeritySigX86_64];
  const { primary, backup } = encodeGpt({
    sectors: layout.sectors,
    diskGuid,
    partitions: layout.extents.map(({ firstLba, lastLba }, i) => ({
      type: types[i] ?? '',
      guid: guid(i + 1),
      firstLba,
      lastLba,
      attributes: i === 0 ? 0n : gptAttributes.readOnly,
      name: `part-${i}`,
    })),
  });
  const path = dir.file('disk.raw');
  const file = openSync(path, 'w');
  ftruncateSync(file, layout.diskSize);
  writeSync(file, primary.bytes, 0, primary.bytes.length, primary.offset);
  writeSync(file, backup.bytes, 0, backup.bytes.length, backup.offset);
  closeSync(file);
  const verdict = sgdisk.run(['-v', path]);
  assert.match(verdict.stdout, /No problems found/, verdict.stdout + verdict.stderr);
  const usr = sgdisk.run(['-i', '2', path]).stdout;
  assert.match(usr, /8484680C-9521-48C6-9C11-B0720656F69E/);
  assert.match(usr, /First sector: 133120[^]*Attribute flags: 1000000000000000[^]*'part-1'/);
});

test('disks made by sgdisk are read', { skip: !sgdisk && noJudge('sgdisk') }, async () => {
  assert.ok(sgdisk);
  using dir = scratch('gpt');
  const path = dir.file('disk.raw');
  const file = openSync(path, 'w');
  ftruncateSync(file, 8 * 2 ** 20);
  closeSync(file);
  const made = sgdisk.run(['-n', '3:2048:4095', '-t', '3:EF00', '-c', '3:boot', '-A', '3:set:60', path]);
  assert.equal(made.status, 0, made.stderr);
  const { readFile } = await import('node:fs/promises');
  const read = readGpt(sourceOf(await readFile(path)));
  assert.deepEqual(read.findings, []);
  const [boot] = read.partitions;
  assert.equal(boot?.index, 2);
  assert.equal(boot.type, gptTypes.esp);
  assert.equal(boot.attributes, gptAttributes.readOnly);
  assert.equal(boot.name, 'boot');
});

const sfdisk = judge('sfdisk');
test('sfdisk names our types as we do', { skip: !sfdisk && noJudge('sfdisk') }, () => {
  assert.ok(sfdisk);
  const known = sfdisk.run(['-T', '--label', 'gpt']).stdout.toLowerCase();
  for (const [name, type] of Object.entries(gptTypes)) assert.ok(known.includes(type), name);
  assert.match(known, new RegExp(`${gptTypes.usrVeritySigX86_64} +linux /usr verity sign. \\(x86-64\\)`));
});
