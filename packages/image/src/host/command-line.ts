/**
 * The signed kernel command line. Every argument is here for a reason; the definition can only add. It ends with `--`:
 * what a hypervisor or boot loader appends behind it is not interpreted by the kernel, and the guard in the initrd
 * then refuses to go on because the line is not the signed one.
 */

import type { RootHash } from '@osguard/formats/verity';
import type { Definition } from '../definition/index.ts';
import { databaseRoles } from '../release/folder.ts';

export interface CommandLineOptions {
  readonly rootHash: RootHash;
  readonly kernelRelease: string;
}

/** Documentation/admin-guide/kernel-parameters.txt, kernel-command-line(7). */
export function commandLine(definition: Definition, { rootHash, kernelRelease }: CommandLineOptions): string {
  const { enforcement, kernelArguments, layers } = definition;
  const hasVerityKeyring = databaseRoles(kernelRelease).length === 1;
  const words = [
    // What is mounted as /usr, and who said so.
    `usrhash=${rootHash}`,
    'systemd.verity_usr_options=root-hash-signature=/etc/verity/usr.p7s,panic-on-corruption',
    // The initrd fills the keyring .dm-verity and seals it before anything is opened.
    ...(hasVerityKeyring ? ['dm_verity.keyring_unsealed=1'] : []),
    // With `layers.mode: audit` volumes without signature open; whether something in them runs is up to IPE.
    ...(layers.mode === 'audit' ? [] : ['dm_verity.require_signatures=1']),
    'lsm=landlock,lockdown,yama,safesetid,ipe,selinux',
    `enforcing=${enforcement.selinux === 'enforcing' ? 1 : 0}`,
    `ipe.enforce=${enforcement.ipe === 'enforce' ? 1 : 0}`,
    'lockdown=confidentiality',
    'module.sig_enforce=1',
    // Running code is not patched through /proc/PID/mem.
    'proc_mem.force_override=never',
    'init_on_alloc=1',
    'slab_nomerge',
    'page_alloc.shuffle=1',
    'randomize_kstack_offset=on',
    'vsyscall=none',
    'ia32_emulation=0',
    'debugfs=off',
    // A machine that is not sure of itself stops.
    'oops=panic',
    'panic=5',
    // An emulated timer on a busy machine is late; the kernel would panic over it while it counts interrupts.
    'no_timer_check',
    // Nothing is taken from SMBIOS, fw_cfg or the ESP.
    'systemd.import_credentials=no',
    'systemd.firstboot=no',
    'systemd.crash_action=reboot',
    'systemd.show_status=auto',
    'loglevel=6',
    'console=tty0',
    'console=ttyS0,115200',
    ...kernelArguments,
    '--',
  ];
  return words.join(' ');
}
