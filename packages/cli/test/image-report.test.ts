import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeGpt, gptTypes } from '@osguard/formats/gpt';
import type { ImageDiff, ImageReport } from '@osguard/image';
import { scratch } from '@osguard/testkit';
import { renderDifference } from '../src/render/difference.ts';
import { renderInspection } from '../src/render/inspection.ts';
import { paintFor } from '../src/render/paint.ts';
import { osguard } from './osguard.ts';
import type { Ran } from './osguard.ts';

const stream = { write: () => true };
const io = { stdout: stream, stderr: stream, env: { LANG: 'C.UTF-8' }, signal: new AbortController().signal };
const paint = paintFor(io, stream);
const fingerprint = '0123456789abcdef'.repeat(4);

const report: ImageReport = {
  target: 'disk\u001b.raw',
  kind: 'disk',
  disk: {
    guid: '11111111-2222-3333-4444-555555555555',
    size: 4 * 1024 * 1024,
    sectorSize: 512,
    tableFindings: [],
    partitions: [
      {
        number: 1,
        typeName: 'esp',
        type: gptTypes.esp,
        label: 'esp',
        uuid: '11111111-2222-3333-4444-000000000001',
        offset: 1024 * 1024,
        size: 2 * 1024 * 1024,
        content: 'vfat',
        used: 1024 * 1024,
        attributes: [],
      },
    ],
  },
  esp: { partition: 1, label: 'ESP', type: 'fat32', files: [{ path: 'EFI/BOOT/BOOTX64.EFI', size: 5000 }] },
  uki: {
    where: 'EFI/BOOT/BOOTX64.EFI',
    size: 5000,
    machine: 'x86-64',
    sections: [{ name: '.linux', size: 4000, sha256: fingerprint }],
    signers: [{ names: 'CN=boot, serial 01', subject: 'CN=boot', fingerprint, fits: false }],
    kernel: '6.12.1',
    commandLine: ['quiet'],
  },
  ipe: [],
  weaker: ['kernel 6.12.1 is old'],
  findings: [{ kind: 'unreadable', where: 'partition 1', message: 'broken (at byte 7)' }],
};

test('an inspection as a tree', () => {
  const shown = renderInspection(report, { paint, all: false }).split('\n');
  assert.deepEqual(shown.slice(0, 11), [
    'disk\\x1b.raw: disk',
    '├─ disk: 4.00 MiB, GPT 11111111-2222-3333-4444-555555555555',
    '│  └─ 1 esp: esp, 2.00 MiB, vfat (1.00 MiB)',
    '│     └─ EFI/BOOT/BOOTX64.EFI  4.88 KiB',
    '└─ boot image EFI/BOOT/BOOTX64.EFI: 4.88 KiB, kernel 6.12.1, x86-64',
    `   ├─ signed by CN=boot (does NOT fit)  ${fingerprint}`,
    '   ├─ command line',
    '   │  └─ quiet',
    '   └─ sections',
    `      └─ .linux     3.91 KiB  ${fingerprint}`,
    '',
  ]);
  assert.ok(shown.includes('  kernel 6.12.1 is old'));
  assert.ok(shown.includes('  partition 1: broken (at byte 7)'));
});

const diff: ImageDiff = {
  a: 'old',
  b: 'new',
  same: false,
  parts: [
    {
      id: 'partitions',
      added: 0,
      removed: 0,
      changed: 1,
      omitted: 0,
      entries: [
        {
          change: 'changed',
          name: 'partition 2',
          fields: [
            { field: 'label', before: 'x_1', after: 'x_2' },
            { field: 'used', before: '1048576', after: '1048577' },
            { field: 'content', after: 'differs from byte 1024 on' },
          ],
        },
      ],
    },
    {
      id: 'command-line',
      added: 0,
      removed: 0,
      changed: 1,
      omitted: 0,
      entries: [
        {
          change: 'changed',
          name: 'usrhash',
          fields: [{ field: 'value', before: fingerprint, after: fingerprint.replace('0', 'f') }],
        },
      ],
    },
    {
      id: 'packages',
      added: 17,
      removed: 1,
      changed: 1,
      omitted: 0,
      entries: [
        { change: 'removed', name: 'gone', fields: [{ field: 'version', before: '1' }] },
        { change: 'changed', name: 'kept', fields: [{ field: 'version', before: '1', after: '2' }] },
        ...Array.from({ length: 17 }, (_, index) => ({
          change: 'added' as const,
          name: `new-${index}\u001b`,
          fields: [{ field: 'version', after: '3' }],
        })),
      ],
    },
  ],
  findings: [{ kind: 'unreadable', side: 'b', where: 'partition 5', message: 'no EROFS' }],
};

test('a difference as a tree', () => {
  assert.equal(
    renderDifference(diff, { paint, all: false }).replaceAll(/^.*\+ new-(?!0).*\n/gm, ''),
    `- old  + new
├─ partitions ~1
│  └─ ~ partition 2
│     ├─ label x_1 → x_2
│     ├─ used 1048576 → 1048577
│     └─ content differs from byte 1024 on
├─ command line ~1
│  └─ ~ usrhash: 0123456789ab… → f123456789ab…
└─ packages ~1 -1 +17
   ├─ - gone  1
   ├─ ~ kept: version 1 → 2
   ├─ + new-0\\x1b  3
   └─ … and 4 more (--all)

not as it should be, or not readable:
  new: partition 5: no EROFS`,
  );
  const all = renderDifference(diff, { paint, all: true });
  assert.ok(all.includes('new-16') && !all.includes('more'));
  const nothing = { ...diff, parts: [] };
  assert.match(renderDifference(nothing, { paint, all: false }), /not everything could be read$/);
  assert.equal(
    renderDifference({ ...nothing, same: true, findings: [] }, { paint, all: false }),
    'no difference',
  );
});

test('image diff: the exit status of diff(1)', async () => {
  using dir = scratch('cli');
  const write = (name: string, label: string): void => {
    const sectors = 8192;
    const table = encodeGpt({
      sectors,
      sectorSize: 512,
      diskGuid: '11111111-2222-3333-4444-555555555555',
      partitions: [
        {
          type: gptTypes.var,
          guid: '11111111-2222-3333-4444-000000000001',
          name: label,
          attributes: 0n,
          firstLba: 2048,
          lastLba: 4095,
        },
      ],
    });
    const disk = new Uint8Array(sectors * 512);
    disk.set(table.primary.bytes, table.primary.offset);
    disk.set(table.backup.bytes, table.backup.offset);
    writeFileSync(dir.file(name), disk);
  };
  write('a', 'var');
  write('b', 'data');
  writeFileSync(dir.file('text'), 'no image');
  const run = async (...names: readonly string[]): Promise<Ran> =>
    osguard(['image', 'diff', ...names.map((name) => dir.file(name))]);
  const same = await run('a', 'a');
  assert.deepEqual([same.status, same.stdout], [0, 'no difference\n']);
  const changed = await run('a', 'b');
  assert.equal(changed.status, 1);
  assert.match(changed.stdout, /partition 1: label var (?:->|→) data/);
  assert.equal((await run('a', 'text')).status, 2);
});
