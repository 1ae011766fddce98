import assert from 'node:assert/strict';
import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { readFat } from '@osguard/formats/fat';
import { gptTypes, partitionExtent, readGpt } from '@osguard/formats/gpt';
import { sliceSource } from '@osguard/formats/bytes';
import type { SparseReleaseFile } from '@osguard/formats/release';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import type { Scratch } from '@osguard/testkit';
import { scratch } from '@osguard/testkit';
import { FileThreads } from '../src/files/file-threads.ts';
import type { ReleaseFolder } from '../src/index.ts';
import { openFileSource, openRelease, verifyImage } from '../src/index.ts';
import { CheckList } from '../src/verify/checks.ts';
import { checkFiles } from '../src/verify/release.ts';
import type { SmallReleaseOptions } from './small-release.ts';
import { writeSmallRelease } from './small-release.ts';

function flipBit(path: string, offset: number): void {
  const fd = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Uint8Array.of((byte[0] ?? 0) ^ 1), 0, 1, offset);
  closeSync(fd);
}

function sparseDisk({ manifest }: ReleaseFolder): SparseReleaseFile {
  const disk = manifest.files.find(({ path }) => path === 'disk.raw');
  return disk !== undefined && 'pieces' in disk ? disk : assert.fail('the disk is not described by pieces');
}

const noEnforce = (line: string): string => line.replace('ipe.enforce=1', 'ipe.enforce=0');
const openEnd = (line: string): string => line.replace(/ --$/, '');
const allowAll = (text: string): string => text.replace('DEFAULT action=DENY', 'DEFAULT action=ALLOW');

describe('offline verification', () => {
  let dir: Scratch;
  let ours: Keyring;
  let foreign: Keyring;
  let made = 0;

  before(async () => {
    dir = scratch('verify');
    const rsaBits = { usr: 2048, layers: 2048, release: 2048 } as const;
    await initKeys(dir.file('ours'), { rsaBits });
    await initKeys(dir.file('foreign'), { rsaBits, name: 'foreign' });
    ours = await loadKeyring(dir.file('ours'));
    foreign = await loadKeyring(dir.file('foreign'));
    await writeSmallRelease(dir.file('good'), { keyring: ours });
  });
  after(() => dir[Symbol.dispose]());

  async function failures(target: string): Promise<readonly string[]> {
    const report = await verifyImage(target, { trust: ours });
    assert.equal(
      report.ok,
      report.checks.every(({ ok }) => ok),
    );
    return report.checks.filter(({ ok }) => !ok).map(({ id }) => id);
  }
  async function build(change: NonNullable<SmallReleaseOptions['change']>): Promise<string> {
    made += 1;
    const folder = dir.file(`changed-${made}`);
    await writeSmallRelease(folder, { keyring: ours, change });
    return folder;
  }
  /** A copy of the good disk with one bit changed at `offset`. */
  function flipped(offset: number): string {
    made += 1;
    const path = dir.file(`disk-${made}.raw`);
    copyFileSync(dir.file('good/disk.raw'), path);
    flipBit(path, offset);
    return path;
  }
  function startOf(type: string): number {
    using disk = openFileSource(dir.file('good/disk.raw'));
    const table = readGpt(disk);
    const partition = table.partitions.find((each) => each.type === type) ?? assert.fail('no such partition');
    return partitionExtent(partition, table.sectorSize).offset;
  }

  test('a good release and its disk alone hold', async () => {
    assert.deepEqual(await failures(dir.file('good')), []);
    assert.deepEqual(await failures(dir.file('good/disk.raw')), []);
  });

  test('the same bits against other certificates fail everywhere a signature is', async () => {
    const report = await verifyImage(dir.file('good'), { trust: foreign });
    const failed = new Set(report.checks.filter(({ ok }) => !ok).map(({ id }) => id));
    for (const id of [
      'release-signature',
      'uki-signature',
      'ipe-signature',
      'root-hash-signature',
      'volume-signers',
    ]) {
      assert.ok(failed.has(id), id);
    }
  });

  test('a signer of another role or owner is found where it signed', async () => {
    assert.deepEqual(await failures(await build({ usrSigner: foreign })), ['root-hash-signature']);
    assert.deepEqual(await failures(await build({ releaseSigner: foreign })), [
      'release-signature',
      'provenance',
    ]);
    const boot = await failures(await build({ bootSigner: foreign }));
    assert.deepEqual(boot, [
      'esp-files',
      'uki-signature',
      'ipe-signature',
      'ipe-decisions',
      'reference-values',
    ]);
  });

  test('reference values for the keys of another firmware are found', async () => {
    assert.deepEqual(await failures(await build({ measuredKeys: foreign })), ['reference-values']);
  });

  test('what else lies on the ESP is found, signed or not', async () => {
    const credential = new Map([['EFI/BOOT/BOOTX64.EFI.extra.d/guest.cred', new Uint8Array(10)]]);
    assert.deepEqual(await failures(await build({ espFiles: credential })), ['esp-files']);
  });

  test('protections that are off are found although everything is signed', async () => {
    assert.deepEqual(await failures(await build({ commandLine: noEnforce })), ['cmdline-hardening']);
    assert.deepEqual(await failures(await build({ commandLine: openEnd })), ['cmdline-hardening']);
    assert.deepEqual(await failures(await build({ policy: allowAll })), ['ipe-decisions']);
    assert.deepEqual(await failures(await build({ selinux: 'permissive' })), ['selinux']);
    const stranger = new Map([['guest', foreign.certificate('layers').der]]);
    assert.deepEqual(await failures(await build({ signers: stranger })), ['volume-signers']);
  });

  test('one bit of each part of the disk is found', async () => {
    assert.deepEqual(await failures(flipped(512 + 60)), ['gpt']);
    const data = startOf(gptTypes.usrX86_64);
    assert.deepEqual(await failures(flipped(data + 9000)), ['usr-blocks', 'usr-filesystem', 'selinux']);
    const tree = startOf(gptTypes.usrVerityX86_64);
    assert.deepEqual(await failures(flipped(tree + 4096 + 5)), ['usr-blocks', 'usr-filesystem', 'selinux']);
    const signature = await failures(flipped(startOf(gptTypes.usrVeritySigX86_64) + 200));
    assert.deepEqual(signature, ['root-hash-signature']);
    const inUki = await failures(flipped(ukiOnDisk() + 0x1000));
    assert.ok(inUki.includes('uki-signature'), inUki.join());
  });

  test('files of a release that are changed, missing or added are found', async () => {
    made += 1;
    const folder = await build({});
    writeFileSync(`${folder}/usr.roothash`, 'x');
    assert.deepEqual(await failures(folder), ['release-files']);
    const sbom = await build({});
    const text = readFileSync(`${sbom}/sbom.spdx.json`, 'latin1');
    writeFileSync(`${sbom}/sbom.spdx.json`, text.replace('/usr/bin/program', '/usr/bin/prograM'));
    assert.deepEqual(await failures(sbom), ['release-files', 'sbom']);
  });

  test('one changed byte anywhere in the disk of a release is found', async () => {
    const folder = await build({});
    const disk = `${folder}/disk.raw`;
    const { size } = statSync(disk);
    const { pieces } = sparseDisk(await openRelease(folder));
    const edges = pieces.flatMap(({ offset, size: length }) => [
      offset - 1,
      offset,
      offset + length - 1,
      offset + length,
    ]);
    // The empty slot, the room for /var and what lies between partitions are in no piece.
    const gaps = pieces.map(({ offset, size: length }, index) => {
      const next = pieces[index + 1]?.offset ?? size;
      return Math.floor((offset + length + next) / 2);
    });
    const random = fc.sample(fc.integer({ min: 0, max: size - 1 }), { numRuns: 20, seed: 20 });
    const places = new Set([...edges, ...gaps, ...random].filter((at) => at >= 0 && at < size));
    assert.ok(places.size > 40, String(places.size));
    await using threads = new FileThreads();
    for (const at of places) {
      flipBit(disk, at);
      const list = new CheckList();
      await checkFiles(list, await openRelease(folder), {
        threads,
        usr: Promise.resolve(undefined),
        allDigests: false,
      });
      assert.deepEqual(
        list.checks.map(({ id, ok }) => [id, ok]),
        [['release-files', false]],
        `byte ${at}`,
      );
      assert.match(list.checks[0]?.where ?? '', /^disk\.raw, /, `byte ${at}`);
      flipBit(disk, at);
    }
    assert.deepEqual(await failures(folder), []);
    flipBit(disk, size - 3_000_000);
    assert.deepEqual(await failures(folder), ['release-files']);
  });

  test('a byte that changed on the disk and in the file beside it alike is found', async () => {
    const folder = await build({});
    const { pieces } = sparseDisk(await openRelease(folder));
    const { size } = statSync(`${folder}/usr.erofs`);
    const usr = pieces.find((piece) => piece.size === size) ?? assert.fail('no piece for /usr');
    flipBit(`${folder}/usr.erofs`, 9000);
    flipBit(`${folder}/disk.raw`, usr.offset + 9000);
    assert.ok((await failures(folder)).includes('release-files'));
  });

  test('an image of /usr exchanged for another of the same size is found, and so is its hash tree', async () => {
    const usr = await build({});
    const bytes = readFileSync(`${usr}/usr.erofs`);
    writeFileSync(`${usr}/usr.erofs`, Buffer.alloc(bytes.length, 1));
    assert.deepEqual(await failures(usr), ['release-files']);
    for (const at of [0, 4096, bytes.length - 1]) {
      writeFileSync(`${usr}/usr.erofs`, bytes);
      flipBit(`${usr}/usr.erofs`, at);
      assert.deepEqual(await failures(usr), ['release-files'], `byte ${at}`);
    }
    writeFileSync(`${usr}/usr.erofs`, bytes.subarray(1));
    assert.deepEqual(await failures(usr), ['release-files']);
    writeFileSync(`${usr}/usr.erofs`, Buffer.concat([bytes, Buffer.alloc(4096)]));
    assert.deepEqual(await failures(usr), ['release-files']);
    writeFileSync(`${usr}/usr.erofs`, bytes);
    flipBit(`${usr}/usr.verity`, 5000);
    assert.deepEqual(await failures(usr), ['release-files']);
  });

  test('a signed manifest that names another root hash, or another digest of the same /usr', async () => {
    const rootHash = 'ab'.repeat(32);
    assert.deepEqual(await failures(await build({ facts: { rootHash } })), ['release-root-hash']);
    const folder = await build({ usrDigest: 'cd'.repeat(32) });
    const report = await verifyImage(folder, { trust: ours });
    const files = report.checks.find(({ id }) => id === 'release-files');
    // The bytes are the signed ones; that the digest beside them is wrong is said not to have been looked at.
    assert.deepEqual([report.ok, files?.ok], [true, true]);
    assert.match(files?.found ?? '', /usr\.erofs by the root hash, its sha256 was not computed/);
    const all = await verifyImage(folder, { trust: ours, allDigests: true });
    const failed = all.checks.filter(({ ok }) => !ok);
    assert.deepEqual(
      failed.map(({ id, where }) => [id, where]),
      [['release-files', 'usr.erofs']],
    );
  });

  test('where the root hash proves nothing, the digest of /usr is computed', async () => {
    const wrong = { facts: { rootHash: 'ab'.repeat(32) }, usrDigest: 'cd'.repeat(32) };
    assert.deepEqual(await failures(await build(wrong)), ['release-files', 'release-root-hash']);
    const report = await verifyImage(dir.file('good'), { trust: ours, allDigests: true });
    assert.equal(report.ok, true);
    assert.doesNotMatch(report.checks.find(({ id }) => id === 'release-files')?.found ?? '', /root hash/);
  });

  test('a manifest that leaves out a piece of the disk does not hold', async () => {
    const folder = await build({ pieces: (all) => all.toSpliced(1, 1) });
    assert.deepEqual(await failures(folder), ['release-files']);
  });

  test('what is no image is an error, not a report', async () => {
    await assert.rejects(verifyImage(dir.file('ours'), { trust: ours }), { code: 'not-an-image' });
    await assert.rejects(verifyImage(dir.file('nothing'), { trust: ours }), { code: 'not-an-image' });
    writeFileSync(dir.file('zeros'), new Uint8Array(4096));
    assert.deepEqual(await failures(dir.file('zeros')), ['gpt']);
  });

  function ukiOnDisk(): number {
    using disk = openFileSource(dir.file('good/disk.raw'));
    const esp = startOf(gptTypes.esp);
    const volume = readFat(sliceSource(disk, esp, 36 * 1024 * 1024));
    const node = volume.find('EFI/BOOT/BOOTX64.EFI') ?? assert.fail('no UKI');
    const head = Uint8Array.from(volume.open(node).read(0, 512));
    // Bodies are contiguous: the first cluster is found by its bytes.
    for (let at = 0; at < 36 * 1024 * 1024; at += 512) {
      if (Buffer.compare(disk.read(esp + at, 512), head) === 0) return esp + at;
    }
    return assert.fail('the UKI is not on the disk');
  }
});
