import assert from 'node:assert/strict';
import { closeSync, copyFileSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { FormatError, sourceOf } from '@osguard/formats/bytes';
import { partitionExtent, readGpt } from '@osguard/formats/gpt';
import { buildUki } from '@osguard/formats/pe';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import type { Scratch } from '@osguard/testkit';
import { makePe, scratch, seededRandom } from '@osguard/testkit';
import type { ImageEntry } from '../src/erofs/index.ts';
import { writeErofsImage } from '../src/erofs/index.ts';
import { ImageError, inspectImage, openFileSource } from '../src/index.ts';
import { formatFileCapabilities, parseFileCapabilities } from '../src/inspect/capabilities.ts';
import { lastValue, splitCommandLine } from '../src/inspect/words.ts';
import { writeSmallRelease } from './small-release.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

function show(value: string): string {
  return formatFileCapabilities(parseFileCapabilities(hex(value)));
}

describe('inspection of a release', () => {
  let dir: Scratch;
  let keyring: Keyring;

  before(async () => {
    dir = scratch('inspect');
    await initKeys(dir.file('keys'), { rsaBits: { usr: 2048, layers: 2048, release: 2048 } });
    keyring = await loadKeyring(dir.file('keys'));
    await writeSmallRelease(dir.file('good'), { keyring });
  });
  after(() => dir[Symbol.dispose]());

  test('shows the whole chain, of the folder and of its disk alone', async () => {
    const report = await inspectImage(dir.file('good'));
    assert.deepEqual([report.kind, report.findings, report.weaker], ['release', [], []]);
    assert.deepEqual(report.packages, []);
    const partitions = report.disk?.partitions.map(({ typeName, content }) => [typeName, content]);
    assert.deepEqual(partitions?.slice(0, 5), [
      ['esp', 'vfat'],
      ['usrX86_64', 'erofs'],
      ['usrVerityX86_64', 'verity'],
      ['usrVeritySigX86_64', 'verity signature'],
      ['usrX86_64', 'empty'],
    ]);
    const role = (name: 'boot' | 'usr'): object => ({
      subject: keyring.certificate(name).subjectText,
      fingerprint: keyring.certificate(name).fingerprint,
      fits: true,
    });
    assert.deepEqual(
      report.uki?.signers.map(({ subject, fingerprint, fits }) => ({ subject, fingerprint, fits })),
      [role('boot')],
    );
    assert.deepEqual(
      report.ipe[0]?.signers.map(({ subject, fingerprint, fits }) => ({ subject, fingerprint, fits })),
      [role('boot')],
    );
    const signatures = report.verity?.signatures ?? [];
    assert.deepEqual(
      signatures.map(({ where, signers }) => [where, signers[0]?.subject, signers[0]?.fits]),
      [
        ['initrd /etc/verity/usr.p7s', keyring.certificate('usr').subjectText, true],
        ['partition 4', keyring.certificate('usr').subjectText, true],
      ],
    );
    assert.deepEqual(
      report.initrd?.volumeSigners.map(({ path }) => path),
      ['etc/verity/trust/usr.der'],
    );
    assert.ok(report.uki?.commandLine?.includes(`usrhash=${report.verity?.rootHash}`));
    assert.deepEqual(report.selinux, { mode: 'enforcing', type: 'default', policies: ['policy.33'] });
    assert.equal(report.usr?.unlabelled, 0);
    assert.deepEqual(report.usr?.largest[0], { path: '/usr/bin/program', size: 20_000 });
    const execute = report.ipe[0]?.decisions.find(({ op }) => op === 'EXECUTE');
    assert.deepEqual([execute?.usr, execute?.unsignedVolume, execute?.elsewhere], ['ALLOW', 'DENY', 'DENY']);
    const alone = await inspectImage(dir.file('good/disk.raw'));
    assert.deepEqual([alone.kind, alone.findings], ['disk', []]);
    for (const part of ['disk', 'uki', 'initrd', 'verity', 'usr', 'ipe', 'selinux'] as const) {
      assert.deepEqual(alone[part], report[part], part);
    }
  });

  test('says what is weaker', async () => {
    await writeSmallRelease(dir.file('weak'), {
      keyring,
      change: {
        selinux: 'permissive',
        policy: (text) => text.replace('DEFAULT action=DENY', 'DEFAULT action=ALLOW'),
        commandLine: (line) => `ipe.enforce=0 ${line}`,
      },
    });
    const { weaker } = await inspectImage(dir.file('weak'));
    assert.equal(weaker.length, 3, weaker.join('\n'));
    assert.match(weaker[0] ?? '', /switches protections off: ipe\.enforce=0/);
    assert.match(weaker[1] ?? '', /allows from anywhere: EXECUTE/);
    assert.match(weaker[2] ?? '', /SELinux is permissive/);
  });

  test('a signature over another root hash does not fit, whoever made it', async () => {
    await writeSmallRelease(dir.file('other'), {
      keyring,
      change: { commandLine: (line) => line.replace(/usrhash=../, 'usrhash=00') },
    });
    const { verity, findings } = await inspectImage(dir.file('other'));
    assert.equal(verity?.signatures[0]?.signers[0]?.fits, false);
    assert.ok(findings.some(({ message }) => message.includes('follows from the root hash')));
    assert.ok(findings.some(({ where }) => where === 'release.json'));
  });

  test('damage anywhere is a finding, never a crash', async () => {
    const good = readFileSync(dir.file('good/disk.raw'));
    const path = dir.file('damaged.raw');
    copyFileSync(dir.file('good/disk.raw'), path);
    using disk = openFileSource(dir.file('good/disk.raw'));
    const table = readGpt(disk);
    const starts = table.partitions.slice(0, 4).map((one) => partitionExtent(one, table.sectorSize).offset);
    const uki = good.indexOf('PE\0\0', starts[0], 'latin1');
    const signature = good.indexOf(keyring.certificate('boot').der, uki);
    // [from, length] of everything that is parsed.
    const places = [
      [512, 16_384],
      ...starts.map((at) => [at, 8192]),
      [uki - 128, 1024],
      [signature - 256, 2048],
    ];
    const random = seededRandom(1);
    const fd = openSync(path, 'r+');
    let found = 0;
    for (let round = 0; round < 42; round += 1) {
      const [from = 0, length = 1] = places[round % places.length] ?? [];
      const at = from + random.below(length);
      const original = good.subarray(at, at + 4);
      const broken = Uint8Array.from(original, (octet) => octet ^ (1 << random.below(8)));
      writeSync(fd, round % 2 === 0 ? broken : Uint8Array.of(255, 255, 255, 255), 0, 4, at);
      try {
        const report = await inspectImage(path);
        if (report.findings.length > 0) found += 1;
      } catch (error) {
        assert.ok(error instanceof ImageError, `round ${round}: ${String(error)}`);
      }
      writeSync(fd, original, 0, 4, at);
    }
    closeSync(fd);
    assert.ok(found > 8, `${found} of 42 found`);
    assert.deepEqual((await inspectImage(path)).findings, []);
  });
});

test('a file system alone: set-ID files, capabilities, interpreters, hard links', async () => {
  using dir = scratch('inspect');
  const common = { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
  const xattrs = new Map([['security.capability', hex('0100000200200000000000000000000000000000')]]);
  const broken = new Map([['security.capability', hex('01000002')]]);
  const entries: ImageEntry[] = [
    { ...common, path: '/', type: 'directory' },
    { ...common, path: '/bin', type: 'directory' },
    { ...common, path: '/bin/su', type: 'file', mode: 0o4755, body: new Uint8Array(10) },
    { ...common, path: '/bin/wall', type: 'file', mode: 0o2755, gid: 5, body: new Uint8Array(20) },
    { ...common, path: '/bin/ping', type: 'file', body: new Uint8Array(30), xattrs },
    { ...common, path: '/bin/bash', type: 'file', body: new Uint8Array(40) },
    { ...common, path: '/bin/sh', type: 'symlink', target: 'bash' },
    { ...common, path: '/bin/awk', type: 'symlink', target: '/etc/alternatives/awk' },
    { ...common, path: '/bin/odd', type: 'file', body: new Uint8Array(5), xattrs: broken },
    { path: '/bin/ping6', type: 'link', target: '/bin/ping' },
  ];
  const fd = openSync(dir.file('usr.erofs'), 'w');
  writeErofsImage(entries, { fd, uuid: new Uint8Array(16), buildTime: 1 });
  closeSync(fd);
  const { kind, usr, weaker, findings } = await inspectImage(dir.file('usr.erofs'));
  assert.equal(kind, 'file-system');
  assert.deepEqual(usr?.setuid, [
    { path: '/usr/bin/su', mode: 0o4755, uid: 0, gid: 0 },
    { path: '/usr/bin/wall', mode: 0o2755, uid: 0, gid: 5 },
  ]);
  assert.deepEqual(usr?.capabilities, [
    { path: '/usr/bin/odd', capabilities: 'unreadable' },
    { path: '/usr/bin/ping', capabilities: 'cap_net_raw=ep' },
    { path: '/usr/bin/ping6', capabilities: 'cap_net_raw=ep' },
  ]);
  assert.deepEqual(usr?.interpreters, ['/usr/bin/bash', '/usr/bin/sh']);
  assert.deepEqual([usr?.inodes, usr?.files, usr?.bytes, usr?.unlabelled], [9, 5, 105, 9]);
  assert.match(weaker.join('\n'), /2 are inside: \/usr\/bin\/bash/);
  assert.deepEqual(
    findings.map(({ kind: what, where }) => [what, where.split(' ').at(-1)]),
    [['unreadable', '/usr/bin/odd']],
  );
});

test('a boot image alone, with a kernel that lacks what 7.x has', async () => {
  using dir = scratch('inspect');
  const pe = sourceOf(makePe({ gap: 0x800 }));
  const uki = buildUki({
    stub: pe,
    linux: sourceOf(makePe({})),
    cmdline: 'quiet "a b=c d"',
    uname: '6.12.1-amd64',
  });
  writeFileSync(dir.file('x.efi'), uki.read(0, uki.size));
  const report = await inspectImage(dir.file('x.efi'));
  assert.equal(report.kind, 'boot-image');
  assert.deepEqual(report.uki?.commandLine, ['quiet', '"a b=c d"']);
  assert.match(
    report.weaker.join('\n'),
    /6\.12\.1-amd64 has no keyring \.dm-verity.*\n.*AT_EXECVE_CHECK.*\n.*not signed/,
  );
});

test('what is no image is refused', async () => {
  using dir = scratch('inspect');
  writeFileSync(dir.file('text'), 'hello');
  writeFileSync(dir.file('empty'), '');
  for (const target of [dir.file('text'), dir.file('empty'), dir.path]) {
    await assert.rejects(
      inspectImage(target),
      (error) => error instanceof ImageError && error.code === 'not-an-image',
    );
  }
});

test('file capabilities as setcap writes them', () => {
  assert.equal(show('0100000200200000000000000000000000000000'), 'cap_net_raw=ep');
  assert.equal(show('0000000200300000003000000000000000000000'), 'cap_net_admin,cap_net_raw=ip');
  assert.equal(show('0100000201000000020000000000000000000000'), 'cap_chown=ep cap_dac_override=ei');
  assert.equal(show('0100000200000000000000000001000000000000'), 'cap_checkpoint_restore=ep');
  assert.equal(
    show('0000000300040000000000000000000000000000e8030000'),
    'cap_net_bind_service=p [rootid=1000]',
  );
  assert.equal(show('0000000200000000000000000000008000000000'), '63=p');
  for (const bad of [
    '',
    '01000002',
    '0100000400200000000000000000000000000000',
    '0100000300200000000000000000000000000000',
  ]) {
    assert.throws(() => parseFileCapabilities(hex(bad)), FormatError);
  }
});

test('command lines fall apart as in the kernel', () => {
  const words = splitCommandLine('  a=1 "b c"  d="e f"\tg\0 a=2');
  assert.deepEqual(words, ['a=1', '"b c"', 'd="e f"', 'g', 'a=2']);
  assert.equal(lastValue(words, 'a'), '2');
  assert.equal(lastValue(words, 'b'), undefined);
});
