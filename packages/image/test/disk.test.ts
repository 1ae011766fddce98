import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { sourceOf } from '@osguard/formats/bytes';
import { gptTypes, partitionExtent, readGpt } from '@osguard/formats/gpt';
import { judge, noJudge, scratch } from '@osguard/testkit';
import { writeDisk } from '../src/disk/assemble.ts';
import { openFileSource } from '../src/files/source.ts';

const mebibyte = 1024 * 1024;
const plan = {
  diskGuid: '11111111-2222-3333-4444-555555555555',
  partitions: [
    {
      type: gptTypes.esp,
      guid: '11111111-2222-3333-4444-000000000001',
      name: 'esp',
      size: mebibyte,
      content: [{ offset: 512, body: sourceOf(Uint8Array.of(1, 2, 3)) }],
    },
    {
      type: gptTypes.var,
      guid: '11111111-2222-3333-4444-000000000002',
      name: 'var',
      size: 3 * mebibyte + 1,
      content: [],
    },
  ],
};

test('a disk holds its partitions where its table says, and the same plan gives the same bytes', (t) => {
  using dir = scratch('disk');
  writeDisk(dir.file('a'), plan);
  writeDisk(dir.file('b'), plan);
  assert.deepEqual(readFileSync(dir.file('a')), readFileSync(dir.file('b')));
  using source = openFileSource(dir.file('a'));
  const table = readGpt(source);
  const { findings } = table;
  assert.deepEqual(findings, []);
  const [esp, state] = table.partitions;
  assert.ok(esp !== undefined && state !== undefined);
  assert.deepEqual([...source.read(partitionExtent(esp, 512).offset + 511, 5)], [0, 1, 2, 3, 0]);
  assert.equal(partitionExtent(state, 512).size, 4 * mebibyte);
  assert.ok(statSync(dir.file('a')).blocks * 512 < 2 * mebibyte, 'empty space must stay a hole');
  const sgdisk = judge('sgdisk');
  if (sgdisk === undefined) return t.skip(noJudge('sgdisk'));
  const said = sgdisk.run(['-v', dir.file('a')]);
  assert.match(said.stdout, /No problems found/);
});

test('content that does not fit is refused', () => {
  using dir = scratch('disk');
  const tooBig = {
    ...plan.partitions[0],
    content: [{ offset: mebibyte, body: sourceOf(new Uint8Array(1)) }],
  };
  assert.throws(
    () => writeDisk(dir.file('a'), { ...plan, partitions: [tooBig] as typeof plan.partitions }),
    /do not fit/,
  );
});
