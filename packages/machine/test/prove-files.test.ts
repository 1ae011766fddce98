/** Boot images and volumes of the proof, without a machine. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { unlockedCommandLine, unprotectedCommandLine } from '../src/prove/command-line.ts';
import { archive, plantedInitrd } from '../src/prove/planted-initrd.ts';
import { appendArchive } from '../src/prove/rebuild-uki.ts';
import { otherUsr } from '../src/prove/other-usr.ts';
import { buildVolume } from '../src/prove/volume.ts';

const line =
  'usrhash=ab systemd.verity_usr_options=root-hash-signature=/etc/verity/usr.p7s,panic-on-corruption dm_verity.keyring_unsealed=1 dm_verity.require_signatures=1 lsm=landlock,lockdown,yama,safesetid,ipe,selinux enforcing=1 ipe.enforce=1 lockdown=confidentiality module.sig_enforce=1 proc_mem.force_override=never vsyscall=none systemd.import_credentials=no oops=panic panic=5 console=ttyS0,115200 --';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

describe('command lines of the control boots', () => {
  it('protect nothing', () => {
    assert.equal(
      unprotectedCommandLine(line),
      'usrhash=ab systemd.verity_usr_options=root-hash-signature=/etc/verity/usr.p7s dm_verity.keyring_unsealed=1 lsm=landlock,safesetid,ipe,selinux vsyscall=none console=ttyS0,115200 enforcing=0 ipe.enforce=0 proc_mem.force_override=always',
    );
  });

  it('hand no signature of /usr to a kernel that cannot know its signer', () => {
    const older = unprotectedCommandLine(line.replace(' dm_verity.keyring_unsealed=1', ''));
    assert.ok(!older.includes('root-hash-signature'), older);
    assert.ok(older.startsWith('usrhash=ab lsm='), older);
  });

  it('unlock SELinux alone', () => {
    const expected = line.replace(' enforcing=1', '').replace(' --', ' enforcing=0 --');
    assert.equal(unlockedCommandLine(line), expected);
  });
});

describe('what is planted', () => {
  const volume = buildVolume({
    files: [{ path: 'a/b', body: Buffer.from('content') }],
    label: () => 'system_u:object_r:bin_t:s0',
    salt: 'test',
  });

  it('opens the volume with its signature', () => {
    const planted = text(plantedInitrd({ volume, signature: Uint8Array.of(1, 2, 3) }));
    assert.ok(planted.includes(`${volume.rootHash} hash-offset=${volume.hashOffset},root-hash-signature=`));
    assert.ok(planted.includes('/run/attack/units'));
    assert.ok(!planted.includes('all-capabilities'));
  });

  it('gives capabilities back only where it is told to', () => {
    assert.ok(text(plantedInitrd({ volume, allCapabilities: true })).includes('/run/systemd/system.conf.d'));
  });

  it('follows the initrd at a multiple of four bytes', () => {
    const second = archive(new Map([['etc/x', 'y']]));
    const whole = appendArchive(Uint8Array.of(1, 2, 3, 4, 5), second);
    assert.equal(whole.length, 8 + second.length);
    assert.equal(text(whole.subarray(8, 14)), '070701');
  });

  it('depends on the salt', () => {
    const files = [{ path: 'a', body: Buffer.from('same') }];
    const make = (salt: string): string => buildVolume({ files, label: () => 'x', salt }).rootHash;
    assert.notEqual(make('one'), make('two'));
    assert.equal(make('one'), make('one'));
  });

  it('is another /usr whose tree begins with a superblock', () => {
    const { data, tree } = otherUsr();
    assert.equal(data.length % 4096, 0);
    assert.equal(text(tree.subarray(0, 6)), 'verity');
  });
});
