/** The attacks: which there are, what has to refuse them, and in which boot they are made. */

import type { RowName } from './row.ts';

export type Stage =
  /** The firmware is offered the image; it refuses or boots it. */
  | 'firmware'
  /** The one enforcing boot, with the intruder inside. */
  | 'intruder'
  /** In the same boot: images offered to containerd, and an intruder inside a container. */
  | 'container'
  /** The hypervisor hands something in. */
  | 'hypervisor'
  /** The intruder leaves things behind and the machine reboots. */
  | 'reboot'
  /** Root changes the disk below the running host; the last thing that host sees. */
  | 'last'
  /** The disk is changed while the machine is off. */
  | 'offline';

export interface AttackRow extends RowName {
  readonly stage: Stage;
  /** Part of the short proof that `./quickstart` runs. */
  readonly short: boolean;
}

const row = (id: string, stage: Stage, short: boolean, protection: string): AttackRow => ({
  id,
  stage,
  short,
  protection,
});

export const attackRows: readonly AttackRow[] = [
  row('uki-unsigned', 'firmware', true, 'Secure Boot: an image without signature does not start'),
  row('uki-foreign', 'firmware', true, 'Secure Boot: an image signed by another key does not start'),
  row('uki-cmdline', 'firmware', true, 'Authenticode covers the command line'),
  row('uki-section', 'firmware', true, 'Authenticode covers every section'),
  row('cmdline-smbios', 'hypervisor', true, 'kernel arguments from the hypervisor are refused'),
  row('credential-smbios', 'intruder', true, 'credentials and units from the hypervisor are ignored'),
  row('usr-write', 'intruder', true, '/usr cannot be written, remounted or covered'),
  row('exec-root', 'intruder', true, 'IPE: unsigned program on the root file system'),
  row('exec-tmp', 'intruder', true, 'IPE: unsigned program on /tmp'),
  row('exec-run', 'intruder', true, 'IPE: unsigned program on /run'),
  row('exec-var', 'intruder', true, 'IPE: unsigned program on /var'),
  row('exec-home', 'intruder', true, 'IPE: unsigned program in a home folder'),
  row('exec-shm', 'intruder', true, 'IPE: unsigned program on /dev/shm'),
  row('exec-memfd', 'intruder', true, 'IPE: program that exists only in memory'),
  row('exec-mmap', 'intruder', true, 'IPE: code mapped from an unsigned file or written to memory'),
  row('exec-preload', 'intruder', true, 'IPE: unsigned library preloaded into a signed program'),
  row('exec-deleted', 'intruder', true, 'IPE: file replaced or deleted after it was opened'),
  row('exec-script', 'intruder', true, 'scripts and the loader run nothing unsigned'),
  row('patch-proc-mem', 'intruder', true, 'signed code in memory is not writable through /proc/self/mem'),
  row('patch-ptrace', 'intruder', true, 'Yama: signed code in memory is not writable through ptrace'),
  row(
    'patch-private-page',
    'intruder',
    true,
    'SELinux execmod: a written page of a signed file does not run',
  ),
  row('module', 'intruder', true, 'unsigned and changed kernel modules are refused'),
  row('kexec', 'intruder', true, 'no other kernel is started'),
  row('devmem', 'intruder', true, 'lockdown: physical and kernel memory are closed'),
  row('msr', 'intruder', true, 'lockdown: model specific registers are not written'),
  row('bpf-write', 'intruder', true, 'lockdown: bpf programs do not write user memory'),
  row('ipe-off', 'intruder', true, 'root cannot switch IPE off'),
  row('ipe-foreign', 'intruder', true, 'root cannot load an IPE policy of another key'),
  row('ipe-rollback', 'intruder', true, 'root cannot go back to an older IPE policy'),
  row('ipe-delete', 'intruder', true, 'root cannot delete or deactivate the IPE policy'),
  row('selinux-off', 'intruder', true, 'root cannot switch SELinux off'),
  row('selinux-load', 'intruder', true, 'root cannot load another SELinux policy'),
  row('verity-unsigned', 'intruder', true, 'a dm-verity volume without signature runs nothing'),
  row('verity-foreign', 'intruder', true, 'a dm-verity volume signed by another key is not opened'),
  row('verity-swapped', 'intruder', true, 'a right signature opens only the volume it was made for'),
  row('layer-unsigned', 'container', true, 'a layer nobody signed gives no container'),
  row('layer-foreign', 'container', false, 'a layer signed by another key gives no container'),
  row('layer-swapped-signature', 'container', false, 'a signature opens only the layer it was made for'),
  row('signature-of-other-role', 'container', false, 'the key that signs /usr signs no layers'),
  row('layer-tampered-blob', 'container', false, 'a published layer that was changed gives no container'),
  row('rollback-to-revoked-layer', 'container', false, 'a revoked layer does not come back'),
  row('container-drop-exec', 'container', true, 'IPE: a program dropped into a container does not run'),
  row('container-memfd', 'container', true, 'IPE: nor one that exists only in its memory'),
  row('container-preload', 'container', true, 'IPE: nor an unsigned library in its signed programs'),
  row('container-mount-exec', 'container', true, 'IPE: nor anything on what is mounted into it'),
  row('container-escape-write-usr', 'container', false, 'a privileged container cannot write to /usr'),
  row(
    'layer-tampered-stored',
    'container',
    false,
    'dm-verity: one changed bit of a stored layer is not read',
  ),
  row('usr-data', 'last', true, 'dm-verity: one changed byte of /usr stops the machine'),
  row('usr-tree', 'offline', false, 'dm-verity: one changed byte of the hash tree stops the machine'),
  row('usr-foreign-key', 'offline', false, 'a root hash signed by another key does not boot'),
  row('usr-unsigned', 'offline', false, 'another /usr with its own valid hash tree does not boot'),
  row('persist-etc', 'reboot', false, 'changes of / and /etc are gone after a reboot'),
  row('persist-unit', 'reboot', false, 'planted units are gone after a reboot'),
  row('persist-var-exec', 'reboot', false, 'IPE: a program left on /var does not run'),
];
