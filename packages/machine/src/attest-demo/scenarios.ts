/**
 * What can be done to a machine and to its evidence, and how each must end. The machine as it was released is trusted
 * before and after; in between, somebody holds the boot key, the disk, the firmware, the hypervisor or the TPM.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteSource } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import { stripSignatures } from '@osguard/formats/pe';
import type { Signer } from '@osguard/keys';
import { makeVariableStore } from '@osguard/keys';
import { writeBootDisk } from '../prove/boot-images.ts';
import { enrolledVariables } from '../prove/variables.ts';
import { firmwareVariables } from '../tools/table.ts';
import { temporaryTpmAuthority } from '../vm/tpm-authority.ts';
import { addonOf, withInitrdFile, withoutIpePolicy } from './boot-images.ts';
import type { ArgumentChange } from './changed-argument.ts';
import { ukiWithChangedArgument } from './changed-argument.ts';
import type { BootEnd, BootRequest } from './demo-machine.ts';
import type { EspFile } from './esp.ts';
import { bootImagePath, createOverlay, rewriteEsp } from './esp.ts';
import type { Lab } from './lab.ts';

/** Everything a scenario is made from. */
export interface Workshop {
  readonly lab: Lab;
  readonly uki: ByteSource;
  readonly boot: Signer;
  /** The firmware's variables with the release's keys. */
  readonly variables: Uint8Array;
}

export interface Expectation {
  readonly end: BootEnd;
  /** What the verifier has on record about the node; left out when nothing reaches it. */
  readonly trust?: string;
  /** Every one of these must be found: in a failed check (`id: message; expected; found; where`), a decision, or on the console. */
  readonly says: readonly RegExp[];
}

export interface Scenario {
  readonly id: string;
  /** For people: what was done. */
  readonly title: string;
  readonly expect: Expectation;
  prepare(workshop: Workshop): Promise<Partial<BootRequest>>;
  /** Puts right what would outlive the boot. */
  readonly repair?: (workshop: Workshop) => Promise<void>;
}

export const demoChange: ArgumentChange = { from: 'lockdown=confidentiality', to: 'lockdown=integrity' };

const trusted: Expectation = { end: 'trusted', trust: 'trusted', says: [/TRUSTED/] };
const refused = (...says: readonly RegExp[]): Expectation => ({ end: 'refused', trust: 'refused', says });
const halted = (...says: readonly RegExp[]): Expectation => ({ end: 'halted', says });

/** In the order they are made: the TPM is put back to an earlier state last, because its machine was seen later then. */
export const scenarios: readonly Scenario[] = [
  {
    id: 'unchanged-before',
    title: 'the machine as it was released',
    expect: trusted,
    prepare: async ({ lab }) => {
      lab.machine.saveTpm(savedTpm(lab, 'new'));
      return {};
    },
  },
  {
    id: 'changed-argument',
    title: `kernel argument ${demoChange.to}, signed by the same boot key`,
    expect: refused(
      /^release-measurements: .*command line.*expected .*lockdown=confidentiality.*found .*lockdown=integrity.*PCR (?:9|11)/,
      /^release-measurements: .*boot image.*PCR 4/,
    ),
    prepare: async ({ lab, boot }) =>
      withEsp(lab, 'changed-argument', [
        image(
          await ukiWithChangedArgument({ release: lab.options.release, signer: boot, change: demoChange }),
        ),
      ]),
  },
  {
    id: 'other-uki',
    title: 'another boot image of the same boot key: one more file in the initrd',
    expect: refused(
      /^release-measurements: .*initrd.*PCR (?:9|11)/,
      /^release-measurements: .*boot image.*PCR 4/,
    ),
    prepare: async ({ lab, uki, boot }) =>
      withEsp(lab, 'other-uki', [image(await withInitrdFile(uki, boot))]),
  },
  {
    id: 'secure-boot-off',
    title: 'Secure Boot off',
    expect: halted(/Failed to load IPE policy/),
    prepare: async () => ({ variables: undefined }),
  },
  {
    id: 'secure-boot-off-insider',
    title: 'Secure Boot off, and a boot image made for that by the holder of the boot key',
    expect: refused(/^secure-boot: /),
    prepare: async ({ lab, uki, boot }) => ({
      ...(await withEsp(lab, 'secure-boot-off', [image(await withoutIpePolicy(uki, boot))])),
      variables: undefined,
    }),
  },
  {
    id: 'extra-db',
    title: 'one more certificate in db',
    expect: refused(/^secure-boot-keys: .*db/),
    prepare: async ({ lab }) => {
      const { tools, keyring, release } = lab.options;
      const blank = readFileSync(tools.file(firmwareVariables));
      return { variables: makeVariableStore(blank, keyring, { db: [...release.databaseRoles, 'layers'] }) };
    },
  },
  {
    id: 'smbios-argument',
    title: 'a kernel argument of the hypervisor (SMBIOS)',
    expect: halted(/osguard: .*command line/),
    prepare: async () => ({
      smbios: ['io.systemd.stub.kernel-cmdline-extra=systemd.unit=emergency.target'],
    }),
  },
  {
    id: 'esp-addon',
    title: 'a signed add-on with a kernel argument beside the boot image',
    expect: halted(/osguard: .*command line/),
    prepare: async ({ lab, uki, boot }) =>
      withEsp(lab, 'esp-addon', [
        image(uki),
        { path: `${bootImagePath}.extra.d/demo.addon.efi`, body: await addonOf(uki, demoChange.to, boot) },
      ]),
  },
  {
    id: 'esp-credential',
    title: 'a credential beside the boot image',
    expect: refused(/^release-measurements: .*PCR (?:9|12)/),
    prepare: async ({ lab, uki }) =>
      withEsp(lab, 'esp-credential', [
        image(uki),
        { path: `${bootImagePath}.extra.d/demo.cred`, body: sourceOf(Buffer.from('planted')) },
      ]),
  },
  {
    id: 'second-disk',
    title: 'a second disk whose boot image the firmware tries first',
    expect: refused(/^release-measurements: .*PCR 4/),
    prepare: async ({ lab, uki }) => {
      const { folder, release } = lab.options;
      const second = writeBootDisk(join(folder, 'second-disk.raw'), stripSignatures(uki));
      return { disks: [second, release.file('disk.raw')] };
    },
  },
  {
    id: 'tpm-cleared',
    title: 'the TPM cleared',
    expect: { end: 'not-enrolled', says: [/^enrolment\.refused .*reenrolment-needed/] },
    prepare: async ({ lab }) => {
      lab.machine.saveTpm(savedTpm(lab, 'used'));
      await lab.machine.clearTpm();
      return {};
    },
    repair: async ({ lab }) => lab.machine.putTpm(savedTpm(lab, 'used')),
  },
  {
    id: 'tpm-of-another',
    title: 'the TPM state of another machine, of a manufacturer nobody trusts',
    expect: { end: 'not-enrolled', says: [/^enrolment\.refused .*ek-certificate-path/] },
    prepare: async ({ lab }) => {
      lab.machine.saveTpm(savedTpm(lab, 'used'));
      await lab.machine.manufacture(temporaryTpmAuthority());
      return {};
    },
    repair: async ({ lab }) => lab.machine.putTpm(savedTpm(lab, 'used')),
  },
  {
    id: 'unchanged-after',
    title: 'the machine as it was released, once more',
    expect: trusted,
    prepare: async () => ({}),
  },
  {
    id: 'tpm-put-back',
    title: 'the TPM state of an earlier day',
    expect: refused(/^quote-clock: the TPM was put back/),
    prepare: async ({ lab }) => {
      lab.machine.saveTpm(savedTpm(lab, 'used'));
      lab.machine.putTpm(savedTpm(lab, 'new'));
      return {};
    },
    repair: async ({ lab }) => lab.machine.putTpm(savedTpm(lab, 'used')),
  },
];

export async function openWorkshop(lab: Lab): Promise<Workshop> {
  const { release, keyring, tools } = lab.options;
  return {
    lab,
    uki: sourceOf(readFileSync(release.file('uki.efi'))),
    boot: await keyring.signer('boot'),
    variables: enrolledVariables(keyring, { tools, release }),
  };
}

function image(body: ByteSource): EspFile {
  return { path: bootImagePath, body };
}

function savedTpm(lab: Lab, which: 'new' | 'used'): string {
  return join(lab.options.folder, `tpm-${which}`);
}

async function withEsp(
  { options }: Lab,
  name: string,
  files: readonly EspFile[],
): Promise<{ readonly disks: readonly string[] }> {
  const overlay = join(options.folder, `${name}.qcow2`);
  await createOverlay(overlay, options);
  await rewriteEsp(overlay, files, options);
  return { disks: [overlay] };
}
