/** What an image protects less than osguard can, in sentences. An empty list is no verdict: `image verify` gives that. */

import { databaseRoles } from '../release/folder.ts';
import type { ImageReport } from './report.ts';

type Facts = Omit<ImageReport, 'weaker' | 'findings'>;

export function describeWeaker(report: Facts): readonly string[] {
  return [
    ...kernelWeaknesses(report),
    ...bootWeaknesses(report),
    ...ipeWeaknesses(report),
    ...usrWeaknesses(report),
  ];
}

function* kernelWeaknesses({ uki, release }: Facts): Generator<string> {
  const kernel = uki?.kernel ?? release?.kernel;
  if (kernel === undefined || databaseRoles(kernel).length === 1) return;
  yield `kernel ${kernel} has no keyring .dm-verity: every certificate that may sign /usr or a layer must be in the firmware's db, so its key could sign a boot image too (7.0 and later need only the boot certificate there)`;
  yield `kernel ${kernel} does not ask IPE before an interpreter runs a script (AT_EXECVE_CHECK came later): every interpreter in /usr runs unsigned text`;
}

function* bootWeaknesses({ kind, uki, verity, initrd }: Facts): Generator<string> {
  if (uki === undefined) return;
  if (uki.signers.length === 0) yield 'the boot image is not signed: Secure Boot would refuse it';
  if (uki.commandLine === undefined) {
    yield 'the boot image binds no command line: whoever edits the boot entry chooses it';
  }
  const words = uki.commandLine ?? [];
  const off = words.filter((word) =>
    /^(?:ipe\.enforce=0|enforcing=0|selinux=0|lockdown=none|module\.sig_enforce=0|rd\.shell(?:=1|=yes)?|systemd\.debug_shell.*)$/.test(
      word,
    ),
  );
  if (off.length > 0) yield `the command line switches protections off: ${off.join(' ')}`;
  if (kind === 'boot-image' || initrd === undefined) return;
  if (verity?.rootHash === undefined) {
    yield 'the command line names no root hash: nothing ties the boot image to one /usr';
  } else if (verity.signatures.length === 0) {
    yield 'the root hash is not signed: the kernel would take any /usr the boot image names, and IPE would not know it';
  }
}

function* ipeWeaknesses({ uki, initrd, ipe }: Facts): Generator<string> {
  if (uki === undefined || initrd === undefined) return;
  const active = ipe.at(-1);
  if (active === undefined) {
    yield 'the initrd holds no IPE policy: every file may run';
    return;
  }
  const open = active.decisions.filter(({ elsewhere }) => elsewhere === 'ALLOW').map(({ op }) => op);
  if (open.length > 0) yield `the IPE policy allows from anywhere: ${open.join(', ')}`;
}

function* usrWeaknesses({ usr, selinux }: Facts): Generator<string> {
  if (usr === undefined) return;
  if (selinux === undefined) yield 'no SELinux policy is inside';
  else if (selinux.mode !== 'enforcing')
    yield `SELinux is ${selinux.mode || 'not configured'}, not enforcing`;
  if (usr.interpreters.length > 0) {
    yield `interpreters run unsigned text, and ${usr.interpreters.length} are inside: ${usr.interpreters.slice(0, 12).join(' ')}`;
  }
}
