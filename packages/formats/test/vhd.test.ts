import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, truncateSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { sourceOf } from '@osguard/formats/bytes';
import { encodeVhdFooter, parseVhdFooter, readVhd, vhdGeometry } from '@osguard/formats/vhd';
import { judge, noJudge, scratch } from '@osguard/testkit';

const mebibyte = 1024 * 1024;
const uuid = '8484680c-9521-48c6-9c11-b0720656f69e';

test('any footer goes round', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 * 1024 * 1024 }),
      fc.uuid(),
      fc.integer({ min: 946_684_800, max: 946_684_800 + 0xffff_ffff }),
      (mebibytes, id, time) => {
        const size = mebibytes * mebibyte;
        const { geometry, ...footer } = parseVhdFooter(encodeVhdFooter({ size, uuid: id, time }));
        assert.deepEqual(footer, { size, uuid: id, time });
        const { cylinders, heads, sectorsPerTrack } = geometry;
        assert.ok(cylinders * heads * sectorsPerTrack * 512 <= size);
      },
    ),
  );
});

test('every changed byte of a footer is noticed', () => {
  const good = encodeVhdFooter({ size: mebibyte, uuid, time: 1_700_000_000 });
  for (let at = 0; at < 512; at += 1) {
    const bad = Uint8Array.from(good);
    bad[at] = (bad[at] ?? 0) ^ 1;
    assert.throws(() => parseVhdFooter(bad), { name: 'FormatError' }, `byte ${at}`);
  }
});

test('sizes that Azure refuses, and values no footer can hold', () => {
  const footer = { size: mebibyte, uuid, time: 1_700_000_000 };
  for (const broken of [
    { ...footer, size: mebibyte + 512 },
    { ...footer, size: 0 },
    { ...footer, uuid: 'x' },
    { ...footer, time: 0 },
  ]) {
    assert.throws(() => encodeVhdFooter(broken), { code: 'not-encodable' });
  }
});

test('an image is its disk and the footer, no more and no less', () => {
  const footer = encodeVhdFooter({ size: mebibyte, uuid, time: 1_700_000_000 });
  const image = Buffer.concat([Buffer.alloc(mebibyte, 7), footer]);
  const { disk } = readVhd(sourceOf(image));
  assert.equal(disk.size, mebibyte);
  assert.deepEqual(disk.read(mebibyte - 1, 1)[0], 7);
  assert.throws(() => readVhd(sourceOf(image.subarray(1))), { code: 'malformed' });
  assert.throws(() => readVhd(sourceOf(image.subarray(0, mebibyte))), { code: 'not-this-format' });
  assert.throws(() => readVhd(sourceOf(new Uint8Array(100))), { code: 'truncated' });
});

test('geometry of known sizes', () => {
  const known: readonly (readonly [number, number, number, number])[] = [
    [mebibyte, 30, 4, 17],
    [127 * 1024 * mebibyte, 65_278, 16, 255],
    [2 ** 42, 65_535, 16, 255],
  ];
  for (const [size, cylinders, heads, sectorsPerTrack] of known) {
    assert.deepEqual(vhdGeometry(size), { cylinders, heads, sectorsPerTrack });
  }
});

const qemuImg = judge('qemu-img');
test('qemu-img reads the whole disk', { skip: !qemuImg && noJudge('qemu-img') }, () => {
  assert.ok(qemuImg);
  using dir = scratch('vhd');
  const path = dir.file('disk.vhd');
  for (const size of [3 * mebibyte, 517 * mebibyte]) {
    const file = openSync(path, 'w');
    ftruncateSync(file, size);
    writeSync(file, 'last byte', size - 9);
    writeSync(file, encodeVhdFooter({ size, uuid, time: 1_700_000_000 }), 0, 512, size);
    closeSync(file);
    const info = JSON.parse(qemuImg.run(['info', '--output=json', '-f', 'vpc', path]).stdout) as {
      'virtual-size': number;
      format: string;
    };
    assert.equal(info['virtual-size'], size);
    const converted = qemuImg.run(['convert', '-f', 'vpc', '-O', 'raw', path, dir.file('disk.raw')]);
    assert.equal(converted.status, 0, converted.stderr);
    assert.equal(statSync(dir.file('disk.raw')).size, size);
    truncateSync(path, size);
    assert.equal(qemuImg.run(['compare', '-f', 'raw', '-F', 'raw', path, dir.file('disk.raw')]).status, 0);
  }
});

test('what qemu-img makes is read, with our geometry', { skip: !qemuImg && noJudge('qemu-img') }, () => {
  assert.ok(qemuImg);
  using dir = scratch('vhd');
  const path = dir.file('disk.vhd');
  const make = (subformat: string, size: string) =>
    qemuImg.run(['create', '-f', 'vpc', '-o', `subformat=${subformat}`, path, size]);
  for (const size of ['4M', '41M']) {
    assert.equal(make('fixed', size).status, 0);
    const { footer, disk } = readVhd(sourceOf(readFileSync(path)));
    const { geometry } = parseVhdFooter(Uint8Array.from(readFileSync(path).subarray(-512)));
    assert.equal(disk.size, footer.size);
    assert.deepEqual(vhdGeometry(footer.size), geometry);
  }
  assert.equal(make('dynamic', '4M').status, 0);
  assert.throws(() => readVhd(sourceOf(readFileSync(path))), { code: 'unsupported' });
});
