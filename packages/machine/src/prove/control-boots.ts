/**
 * The same kernel, initrd and /usr with protections off: there the attacks must get through, else the test of an
 * attack is broken and shows nothing.
 */

import { MachineError } from '../error.ts';
import { attackArguments, smbiosCredential } from './arguments.ts';
import type { ProofContext } from './context.ts';
import { bootDisk, intruderDisk, releaseDisk } from './context.ts';
import type { GuestOptions } from './guest.ts';
import { Guest } from './guest.ts';
import { Intruder } from './intruder.ts';
import type { Observation } from './row.ts';

export type Observations = ReadonlyMap<string, Observation>;

/** Attacks that nothing but the switched-off protections stands against. */
export const unprotectedAttacks: readonly string[] = [
  'credential-smbios',
  'usr-write',
  'exec-root',
  'exec-tmp',
  'exec-run',
  'exec-var',
  'exec-home',
  'exec-shm',
  'exec-memfd',
  'exec-mmap',
  'exec-preload',
  'exec-deleted',
  'exec-script',
  'patch-proc-mem',
  'patch-ptrace',
  'patch-private-page',
  'verity-unsigned',
  'kexec',
  'devmem',
  'msr',
  'bpf-write',
  'ipe-off',
  'selinux-off',
  'selinux-load',
  'module',
];

/** Attacks on IPE's policies, whose signatures and versions the kernel always checks: behind the lock on the files. */
export const unlockedAttacks: readonly string[] = ['ipe-foreign', 'ipe-rollback', 'ipe-delete'];

/** Secure Boot off, so that lockdown is off too; SELinux and IPE watch only, modules need no signature. */
export function unprotectedBoot(context: ProofContext, attacks: readonly string[]): Promise<Observations> {
  const { kernel, initrd, commandLine } = context.files.unprotected;
  return observe(context, attacks, {
    name: 'unprotected',
    title: 'control: the same host without its protections',
    secureBoot: false,
    kernel: { image: kernel, initrd, commandLine },
    // A kernel handed over by the hypervisor has the boot index 0.
    disks: [releaseDisk(context, 1), intruderDisk(context)],
    smbios: [smbiosCredential],
  });
}

/** Secure Boot on and IPE enforcing, but SELinux permissive and root with CAP_MAC_ADMIN. */
export function unlockedBoot(context: ProofContext, attacks: readonly string[]): Promise<Observations> {
  return observe(context, attacks, {
    name: 'unlocked',
    title: 'control: the same host with its outer locks open',
    disks: [bootDisk(context.files.unlocked, 0), releaseDisk(context, 1), intruderDisk(context)],
  });
}

async function observe(
  context: ProofContext,
  attacks: readonly string[],
  options: GuestOptions,
): Promise<Observations> {
  const seen = new Map<string, Observation>();
  await using guest = await Guest.start(context, options);
  const intruder = new Intruder(guest);
  await intruder.ready();
  for (const id of attacks) {
    const args = { ...attackArguments(id, context), protected: false };
    try {
      seen.set(id, await intruder.ask(id, { args }));
    } catch (error) {
      if (!(error instanceof MachineError) || error.code !== 'control-failed') throw error;
      const failed = { succeeded: false, detail: error.message };
      seen.set(id, { attempts: [failed], control: null, kernel: [], seconds: 0 });
    }
  }
  return seen;
}
