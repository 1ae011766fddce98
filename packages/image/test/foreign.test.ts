/** An image that systemd-repart and ukify made, verified against its own certificates. */

import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { loadKeyring } from '@osguard/keys';
import type { Judge, Scratch } from '@osguard/testkit';
import { installedFile, judge, makePe, noJudge, scratch } from '@osguard/testkit';
import { inspectImage, verifyImage } from '../src/index.ts';

const repart = judge('systemd-repart', { atLeast: 255 });
const ukify = judge('ukify', { atLeast: 255 });
const openssl = judge('openssl');
const bsdtar = judge('bsdtar');
const stub = installedFile('/usr/lib/systemd/boot/efi/linuxx64.efi.stub');
const missing = Object.entries({ 'systemd-repart 255': repart, 'ukify 255': ukify, openssl, bsdtar, stub })
  .filter(([, tool]) => tool === undefined)
  .map(([name]) => noJudge(name));

interface Area {
  readonly type: string;
  readonly offset: number;
  readonly roothash: string;
}

describe('an image of systemd-repart and ukify', { skip: missing[0] ?? false }, () => {
  let dir: Scratch;
  let areas: readonly Area[];

  before(() => {
    dir = scratch('foreign');
    areas = build(dir);
  });
  after(() => dir[Symbol.dispose]());

  async function failures(trust: string): Promise<readonly string[]> {
    const report = await verifyImage(dir.file('disk.raw'), {
      trust: await loadKeyring(dir.file(trust)),
      foreign: true,
    });
    return report.checks.filter(({ ok }) => !ok).map(({ id }) => id);
  }
  function offsetOf(type: string): number {
    return areas.find((area) => area.type === type)?.offset ?? assert.fail(`no partition ${type}`);
  }
  async function failuresWithByte(at: number): Promise<readonly string[]> {
    flip(dir.file('disk.raw'), at);
    const found = await failures('trust');
    flip(dir.file('disk.raw'), at);
    return found;
  }

  test('holds against its own certificates', async () => {
    const report = await verifyImage(dir.file('disk.raw'), {
      trust: await loadKeyring(dir.file('trust')),
      foreign: true,
    });
    assert.deepEqual(
      report.checks.filter(({ ok }) => !ok),
      [],
    );
    assert.equal(report.rootHash, areas[0]?.roothash);
    assert.ok(report.verifiedBytes > 0);
    for (const id of ['uki-signature', 'root-hash-signature', 'usr-blocks', 'usr-filesystem']) {
      assert.ok(
        report.checks.some((check) => check.id === id),
        id,
      );
    }
  });

  test('does not hold against those of others', async () => {
    const failed = await failures('strangers');
    for (const id of ['uki-signature', 'root-hash-signature']) assert.ok(failed.includes(id), failed.join());
  });

  test('a changed byte of /usr, of its hash tree or of the signature is found', async () => {
    assert.ok((await failuresWithByte(offsetOf('usr-x86-64') + 5000)).includes('usr-blocks'));
    assert.ok((await failuresWithByte(offsetOf('usr-x86-64-verity') + 4100)).includes('usr-blocks'));
    // Before it lies a certificate that nobody needs: the trusted one is taken.
    const signature = offsetOf('usr-x86-64-verity-sig') + 1600;
    assert.deepEqual(await failuresWithByte(signature), ['root-hash-signature']);
    assert.deepEqual(await failures('trust'), []);
  });

  test('is told apart from one of ours: what only osguard promises is missing', async () => {
    const report = await verifyImage(dir.file('disk.raw'), { trust: await loadKeyring(dir.file('trust')) });
    assert.equal(report.ok, false);
  });

  test('is described', async () => {
    const { disk, verity } = await inspectImage(dir.file('disk.raw'));
    assert.equal(disk?.partitions.length, 4);
    assert.ok(verity !== undefined);
  });
});

function flip(path: string, offset: number): void {
  const fd = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Uint8Array.of((byte[0] ?? 0) ^ 1), 0, 1, offset);
  closeSync(fd);
}

function must(tool: Judge | undefined, args: readonly string[], cwd?: string): string {
  if (tool === undefined) return assert.fail('the suite is skipped without it');
  const { status, stdout, stderr } = tool.run(args, cwd === undefined ? {} : { cwd });
  assert.equal(status, 0, `${tool.name}: ${stderr}`);
  return stdout;
}

/** First /usr with its hash tree and signature, then the ESP with a UKI that names the root hash, as mkosi does it. */
function build(dir: Scratch): readonly Area[] {
  for (const trust of ['trust', 'strangers']) {
    mkdirSync(dir.file(trust));
    for (const role of ['boot', 'usr']) {
      const out = ['-keyout', dir.file(`${trust}-${role}.key`), '-out', dir.file(`${trust}/${role}.crt`)];
      must(openssl, ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${role}`, ...out]);
    }
  }
  for (const folder of ['root/usr/lib', 'root/esp/EFI/BOOT', 'one', 'two']) {
    mkdirSync(dir.file(folder), { recursive: true });
  }
  writeFileSync(dir.file('root/usr/lib/os-release'), 'ID=other\n');
  writeFileSync(dir.file('root/usr/lib/large'), Buffer.alloc(300_000, 'content '));
  // Else they would take the whole disk.
  const small = 'SizeMinBytes=1M\nSizeMaxBytes=1M\n';
  const partitions = {
    '10-usr': `Type=usr\nFormat=erofs\nCopyFiles=/usr:/\nVerity=data\nVerityMatchKey=usr\n${small}`,
    '20-verity': `Type=usr-verity\nVerity=hash\nVerityMatchKey=usr\n${small}`,
    '30-signature': 'Type=usr-verity-sig\nVerity=signature\nVerityMatchKey=usr\n',
  };
  const esp = 'Type=esp\nFormat=vfat\nCopyFiles=/esp:/\nSizeMinBytes=40M\nSizeMaxBytes=40M\n';
  for (const [name, text] of Object.entries(partitions)) {
    for (const stage of ['one', 'two'])
      writeFileSync(dir.file(`${stage}/${name}.conf`), `[Partition]\n${text}`);
  }
  writeFileSync(dir.file('two/00-esp.conf'), `[Partition]\n${esp}`);
  const create = ['--empty=create', '--size=96M', `--definitions=${dir.file('one')}`];
  const roothash = runRepart(dir, create)[0]?.roothash ?? assert.fail('systemd-repart names no root hash');
  writeUki(dir, roothash);
  // It names the root hash only where it makes it.
  return runRepart(dir, [`--definitions=${dir.file('two')}`]).map((area) => ({ ...area, roothash }));
}

function runRepart(dir: Scratch, args: readonly string[]): readonly Area[] {
  const signing = [
    `--private-key=${dir.file('trust-usr.key')}`,
    `--certificate=${dir.file('trust/usr.crt')}`,
  ];
  const how = ['--dry-run=no', '--offline=yes', '--json=short', `--root=${dir.file('root')}`];
  const said = must(repart, [...how, ...signing, ...args, dir.file('disk.raw')]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- systemd-repart's own JSON
  return JSON.parse(said) as readonly Area[];
}

function writeUki(dir: Scratch, roothash: string): void {
  mkdirSync(dir.file('initrd'));
  writeFileSync(dir.file('initrd/init'), '#!/bin/sh\n', { mode: 0o755 });
  must(bsdtar, ['--format=newc', '--zstd', '-cf', dir.file('initrd.img'), 'init'], dir.file('initrd'));
  writeFileSync(dir.file('linux'), makePe({}));
  must(ukify, [
    'build',
    `--linux=${dir.file('linux')}`,
    `--initrd=${dir.file('initrd.img')}`,
    `--cmdline=usrhash=${roothash} quiet`,
    `--stub=${stub ?? ''}`,
    '--uname=6.0',
    `--secureboot-private-key=${dir.file('trust-boot.key')}`,
    `--secureboot-certificate=${dir.file('trust/boot.crt')}`,
    `--output=${dir.file('root/esp/EFI/BOOT/BOOTX64.EFI')}`,
  ]);
}
