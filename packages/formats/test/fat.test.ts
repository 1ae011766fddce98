import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, ftruncateSync, writeFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError, segmentSource, sourceOf } from '@osguard/formats/bytes';
import type { ByteSource } from '@osguard/formats/bytes';
import { readFat, writeFat } from '@osguard/formats/fat';
import type { FatImage, FatVolume, WriteFatOptions } from '@osguard/formats/fat';
import { judge, noJudge, scratch } from '@osguard/testkit';

const mebibyte = 1024 * 1024;
const epoch = 1_700_000_001;

function body(size: number, seed = 1): ByteSource {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 1) bytes[i] = (i * 31 + (i >> 8) + seed) & 0xff;
  return sourceOf(bytes);
}

const esp: WriteFatOptions = {
  size: 64 * mebibyte,
  volumeId: 0xcafe_0001,
  label: 'ESP',
  mtime: epoch,
  hiddenSectors: 2048,
  files: [
    { path: 'EFI/BOOT/BOOTX64.EFI', body: body(3_000_001) },
    { path: 'EFI/Linux/container-host_1.2.0+3-0.efi', body: body(70_000, 2), mtime: epoch + 1000 },
    { path: 'EFI/Linux/Container-Host_1.1.9.efi', body: body(512, 3) },
    { path: 'loader/loader.conf', body: sourceOf(Buffer.from('timeout 0\n')) },
    { path: 'loader/keys/auto', mtime: epoch },
    { path: 'leer', body: sourceOf(new Uint8Array()) },
    { path: 'Grüße 😀.txt', body: body(5) },
  ],
};

function volumeOf(image: FatImage): ByteSource {
  return segmentSource(image.segments, image.geometry.sectors * image.geometry.sectorSize);
}

function contents(volume: FatVolume): Map<string, string> {
  return new Map(
    volume.nodes.map((node) => {
      if (node.kind === 'directory') return [node.path, 'directory'];
      const source = volume.open(node);
      return [node.path, Buffer.from(source.read(0, source.size)).toString('base64')];
    }),
  );
}

function save(image: FatImage, path: string): void {
  const file = openSync(path, 'w');
  ftruncateSync(file, image.geometry.sectors * image.geometry.sectorSize);
  for (const { offset, body: source } of image.segments) {
    writeSync(file, source.read(0, source.size), 0, source.size, offset);
  }
  closeSync(file);
}

test('a volume is read back with its tree, bodies and times', () => {
  const volume = readFat(volumeOf(writeFat(esp)));
  assert.deepEqual(volume.findings, []);
  assert.equal(volume.label, 'ESP');
  assert.equal(volume.geometry.type, 'fat32');
  assert.equal(volume.geometry.clusterSize, 512);
  assert.deepEqual([...contents(volume).keys()].sort(), [
    'EFI',
    'EFI/BOOT',
    'EFI/BOOT/BOOTX64.EFI',
    'EFI/Linux',
    'EFI/Linux/Container-Host_1.1.9.efi',
    'EFI/Linux/container-host_1.2.0+3-0.efi',
    'Grüße 😀.txt',
    'leer',
    'loader',
    'loader/keys',
    'loader/keys/auto',
    'loader/loader.conf',
  ]);
  const uki = volume.find('efi/linux/CONTAINER-HOST_1.2.0+3-0.EFI');
  assert.equal(uki?.shortName, 'CONTAI~2.EFI');
  assert.equal(uki.mtime, epoch + 1000 - ((epoch + 1000) % 2));
  const [, wanted] = esp.files;
  assert.deepEqual(volume.open(uki).read(69_000, 1000), wanted?.body?.read(69_000, 1000));
});

const name = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 40, unit: 'binary' }),
    fc.stringMatching(/^[a-zA-Z0-9_]{1,10}\.[a-zA-Z]{1,4}$/),
    fc.constantFrom('a~1.txt', 'LONGNA~1.TXT', 'longname long.txt', 'longname other.txt'),
  )
  // eslint-disable-next-line no-control-regex
  .filter((text) => !/[\u0000-\u001f"*/:<>?\\|]|[. ]$/.test(text));

test('any tree of legal names goes round, wherever it lies in the folder', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.record({ name, folder: fc.constantFrom('', 'EFI/', 'a/b/c/'), size: fc.nat(3000) }), {
        maxLength: 60,
        selector: (file) => file.folder + file.name.toLowerCase().toUpperCase(),
      }),
      fc.constantFrom(34 * mebibyte, 300 * mebibyte),
      (files, size) => {
        const list = files.map((file, i) => ({ path: file.folder + file.name, body: body(file.size, i) }));
        const made = writeFat({ ...esp, size, files: list });
        const again = writeFat({ ...esp, size, files: list.toReversed() });
        const volume = readFat(volumeOf(made));
        assert.deepEqual(
          made.segments.map((s) => s.body.read(0, s.body.size)),
          again.segments.map((s) => s.body.read(0, s.body.size)),
        );
        const read = contents(volume);
        for (const file of list) {
          const expected = Buffer.from(file.body.read(0, file.body.size)).toString('base64');
          assert.equal(read.get(file.path), expected);
        }
        assert.equal(volume.nodes.filter(({ kind }) => kind === 'file').length, list.length);
      },
    ),
    { numRuns: 40 },
  );
});

test('names that FAT cannot hold, collisions and oversize are refused', () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['a:b'], /has ":"/],
    [['a/../b'], /dot name/],
    [['/a'], /empty/],
    [['a.'], /ends in a dot/],
    [['A', 'a'], /twice/],
    [['dir/a', 'DIR/b'], /case only/],
    [['a', 'a/b'], /lies in a file/],
    [['x'.repeat(256)], /longer than 255/],
  ];
  for (const [paths, message] of cases) {
    const files = paths.map((path) => ({ path, body: body(1) }));
    assert.throws(() => writeFat({ ...esp, files }), { name: 'FormatError', message });
  }
  assert.throws(() => writeFat({ ...esp, size: 32 * mebibyte }), /too few for FAT32/);
  assert.throws(() => writeFat({ ...esp, label: 'esp' }), /not a FAT volume label/);
  const big: ByteSource = { size: 100 * mebibyte, read: () => assert.fail('must not be read') };
  assert.throws(() => writeFat({ ...esp, files: [{ path: 'a', body: big }] }), /files take 104858112/);
  assert.throws(
    () => writeFat({ ...esp, files: [{ path: 'a', body: { ...big, size: 2 ** 32 } }] }),
    /at most/,
  );
});

/** A small volume whose FAT can be edited: entry 2 is the root, 3 the folder D, 4 and 5 the file D/A. */
function broken(edit: (fat: DataView) => void): () => FatVolume {
  const image = writeFat({
    ...esp,
    size: 34 * mebibyte,
    files: [
      { path: 'D/A', body: body(1024) },
      { path: 'D/B', body: body(512) },
    ],
  });
  const segments = image.segments.map((segment, i) => {
    const { offset, body: source } = segment;
    if (i !== 4 && i !== 5) return segment;
    const fat = Uint8Array.from(source.read(0, source.size));
    edit(new DataView(fat.buffer));
    return { offset, body: sourceOf(fat) };
  });
  return () => readFat(segmentSource(segments, 34 * mebibyte));
}

test('loops, cross-links and chains of the wrong length fail closed', () => {
  assert.equal(broken(() => {})().nodes.length, 3);
  const set = (cluster: number, value: number) => broken((fat) => fat.setUint32(cluster * 4, value, true));
  assert.throws(set(5, 4), /longer than 2 clusters/);
  assert.throws(set(4, 4), /already part of a chain/);
  assert.throws(set(2, 3), /already part of a chain/);
  assert.throws(set(3, 2), /already part of a chain/);
  assert.throws(set(4, 0x0fff_ffff), /1024 bytes, its chain holds 512/);
  assert.throws(set(4, 0), /cluster 0 of/);
  assert.throws(set(4, 0x0fff_fff7), /cluster 268435447 of/);
  assert.throws(set(5, 6), /longer than 2/);
});

test('FATs that differ are told', () => {
  const image = writeFat(esp);
  const segments = image.segments.filter((_, i) => i !== 5);
  assert.deepEqual(readFat(segmentSource(segments, 64 * mebibyte)).findings, ['the two FATs differ']);
});

test('a volume larger than its partition and boot sectors that contradict themselves are refused', () => {
  const image = writeFat(esp);
  assert.throws(() => readFat(segmentSource(image.segments.slice(0, 4), 60 * mebibyte)), {
    code: 'truncated',
  });
  const boot = Uint8Array.from(image.segments[0]?.body.read(0, 512) ?? []);
  assert.throws(() => readFat(sourceOf(boot)), { code: 'truncated' });
  // Root entries are what FAT12 and FAT16 have.
  const whole = Uint8Array.from(segmentSource(image.segments, esp.size).read(0, esp.size));
  new DataView(whole.buffer).setUint16(17, 512, true);
  assert.throws(() => readFat(sourceOf(whole)), /do not go with the boot sector/);
  assert.throws(() => readFat(sourceOf(new Uint8Array(512))), { code: 'not-this-format' });
  assert.throws(() => readFat(sourceOf(new Uint8Array(3))), FormatError);
});

const mkfs = judge('mkfs.vfat');
test(
  'FAT32 with fewer clusters than the specification asks for reads',
  { skip: !mkfs && noJudge('mkfs.vfat') },
  () => {
    assert.ok(mkfs);
    using dir = scratch('fat');
    writeFileSync(dir.file('small'), new Uint8Array(64 * mebibyte));
    const made = mkfs.run(['-F', '32', '-s', '8', dir.file('small')]);
    assert.equal(made.status, 0, made.stderr);
    const volume = readFat(sourceOf(readFileSync(dir.file('small'))));
    assert.equal(volume.geometry.type, 'fat32');
    assert.ok(volume.geometry.clusterCount < 65_525);
  },
);

const fsck = judge('fsck.vfat');
test('fsck.vfat finds nothing to repair', { skip: !fsck && noJudge('fsck.vfat') }, () => {
  assert.ok(fsck);
  using dir = scratch('fat');
  const many = Array.from({ length: 900 }, (_, i) => ({
    path: `many/file number ${i}.efi`,
    body: body(i, i),
  }));
  const disks: readonly WriteFatOptions[] = [
    esp,
    { ...esp, size: 34 * mebibyte, files: [], label: '' },
    { ...esp, size: 512 * mebibyte, files: [...esp.files, ...many] },
    { ...esp, size: 300 * mebibyte, sectorSize: 4096 },
  ];
  for (const options of disks) {
    save(writeFat(options), dir.file('esp.img'));
    const { status, stdout } = fsck.run(['-n', '-v', dir.file('esp.img')]);
    assert.equal(status, 0, stdout);
    assert.doesNotMatch(stdout, /wrong|differ|warning|invalid|orphan|leaving/i);
  }
});

const mdir = judge('mdir');
const mcopy = judge('mcopy');
test('mtools reads what is written', { skip: !(mdir && mcopy) && noJudge('mtools') }, () => {
  assert.ok(mdir && mcopy);
  using dir = scratch('fat');
  const path = dir.file('esp.img');
  save(writeFat(esp), path);
  const listing = mdir.run(['-b', '-/', '-i', path, '::']).stdout.split('\n').filter(Boolean).sort();
  assert.deepEqual(listing, [
    '::/EFI/',
    '::/EFI/BOOT/',
    '::/EFI/BOOT/BOOTX64.EFI',
    '::/EFI/Linux/',
    '::/EFI/Linux/Container-Host_1.1.9.efi',
    '::/EFI/Linux/container-host_1.2.0+3-0.efi',
    // mtools knows no surrogate pairs.
    '::/Grüße __.txt',
    '::/leer',
    '::/loader/',
    '::/loader/keys/',
    '::/loader/keys/auto/',
    '::/loader/loader.conf',
  ]);
  assert.match(
    mdir.run(['-i', path, '::']).stdout,
    /Volume in drive : is ESP[^]*CAFE-0001[^]*2023-11-14 {2}22:13/,
  );
  const copied = mcopy.run(['-n', '-i', path, '::/EFI/BOOT/BOOTX64.EFI', dir.file('uki')]);
  assert.equal(copied.status, 0, copied.stderr);
  assert.deepEqual(new Uint8Array(readFileSync(dir.file('uki'))), esp.files[0]?.body?.read(0, 3_000_001));
});

for (const bits of ['12', '16', '32']) {
  test(
    `a FAT${bits} volume made by others is read`,
    { skip: !(mkfs && mcopy) && noJudge('mkfs.vfat') },
    () => {
      assert.ok(mkfs && mcopy);
      using dir = scratch('fat');
      const path = dir.file('other.img');
      const size = { '12': 1, '16': 16, '32': 40 }[bits] ?? 0;
      writeFileSync(path, new Uint8Array(size * mebibyte));
      assert.equal(mkfs.run(['-F', bits, '-n', 'OTHER', '-s', '1', path]).status, 0);
      const bytes = body(30_000).read(0, 30_000);
      const files = ['BOOTX64.EFI', 'lower.txt', 'A rather long name with äöü.conf'];
      for (const file of files) {
        writeFileSync(dir.file(file), bytes);
        assert.equal(mcopy.run(['-i', path, dir.file(file), '::']).status, 0);
      }
      // A hole in the middle makes the next file scattered.
      const mdel = judge('mdel');
      assert.equal(mdel?.run(['-i', path, '::/lower.txt']).status, 0);
      writeFileSync(dir.file('scattered'), body(100_000, 7).read(0, 100_000));
      assert.equal(mcopy.run(['-i', path, dir.file('scattered'), '::']).status, 0);
      const volume = readFat(sourceOf(readFileSync(path)));
      assert.equal(volume.geometry.type, `fat${bits}`);
      assert.equal(volume.label, 'OTHER');
      assert.deepEqual(volume.findings, []);
      const read = contents(volume);
      assert.deepEqual([...read.keys()].sort(), [
        'A rather long name with äöü.conf',
        'BOOTX64.EFI',
        'scattered',
      ]);
      assert.equal(read.get('BOOTX64.EFI'), Buffer.from(bytes).toString('base64'));
      const scattered = Buffer.from(body(100_000, 7).read(0, 100_000)).toString('base64');
      assert.equal(read.get('scattered'), scattered);
    },
  );
}
