/** What a difference means for whoever runs the machine. One sentence each; where nothing is known, nothing is said. */

import type { Difference } from './types.ts';

interface Rule {
  readonly pcr: number;
  readonly applies: (difference: Difference) => boolean;
  readonly says: string;
}

const says = (difference: Difference): string =>
  `${difference.expected?.what ?? ''} ${difference.found?.says ?? ''}`;
const mentions =
  (words: RegExp) =>
  (difference: Difference): boolean =>
    words.test(says(difference));
const always = (): boolean => true;

const rules: readonly Rule[] = [
  {
    pcr: 11,
    applies: (difference) => difference.kind === 'changed' && mentions(/\.cmdline/)(difference),
    says: 'the boot image carries another kernel command line than the release: it was rebuilt and signed again',
  },
  {
    pcr: 11,
    applies: (difference) => difference.kind === 'changed' && mentions(/\.initrd/)(difference),
    says: 'the boot image carries another initrd than the release',
  },
  {
    pcr: 11,
    applies: (difference) => difference.kind === 'changed' && mentions(/\.linux/)(difference),
    says: 'the boot image carries another kernel than the release',
  },
  {
    pcr: 11,
    applies: (difference) =>
      difference.found?.log === 'userspace' || difference.expected?.log === 'userspace',
    says: 'the phases of the boot were not those of this release, or the machine is shutting down',
  },
  { pcr: 11, applies: always, says: 'another boot image than that of the release was started' },
  {
    pcr: 12,
    applies: always,
    says: 'the boot image was handed something it does not carry: an argument, a credential or an add-on from the ESP, the firmware or the hypervisor',
  },
  { pcr: 13, applies: always, says: 'a system extension from the ESP was handed to the boot image' },
  { pcr: 14, applies: always, says: 'a shim with keys of its own was started before the boot image' },
  {
    pcr: 15,
    applies: always,
    says: 'the host measured an identity (machine ID, file system, volume key) that this release does not measure',
  },
  {
    pcr: 9,
    applies: mentions(/command line|LoadOptions/),
    says: 'the kernel was started with another command line',
  },
  {
    pcr: 9,
    applies: mentions(/initrd/),
    says: 'the kernel was given another initrd: another boot image, or files beside it on the ESP',
  },
  { pcr: 8, applies: always, says: 'a boot loader with commands of its own ran before the boot image' },
  {
    pcr: 7,
    applies: mentions(/SecureBoot|Secure Boot is on/),
    says: 'Secure Boot is not on as it has to be: the firmware starts what nobody signed',
  },
  {
    pcr: 7,
    applies: mentions(/^dbx:|variable dbx\b/),
    says: 'the list of forbidden images is another one; firmware updates may extend it',
  },
  {
    pcr: 7,
    applies: mentions(/vouches|AUTHORITY/),
    says: 'another certificate than that of the role boot vouched for what was started',
  },
  {
    pcr: 7,
    applies: mentions(/^(?:PK|KEK|db):|variable (?:PK|KEK|db)\b/),
    says: 'the firmware trusts other keys: whoever holds them can sign boot images or change the keys',
  },
  {
    pcr: 4,
    applies: (difference) =>
      difference.kind === 'changed' && mentions(/the boot image that firmware starts/)(difference),
    says: 'firmware started another boot image',
  },
  {
    pcr: 4,
    applies: (difference) => difference.found?.type === 'EV_EFI_BOOT_SERVICES_APPLICATION',
    says: 'another program ran before or beside the boot image: a shell, a boot loader, a tool',
  },
  {
    pcr: 4,
    applies: (difference) => difference.found?.type === 'EV_EFI_ACTION',
    says: 'firmware tried other boot options before this one',
  },
];

/** Undefined when this file does not know. */
export function meaningOf(difference: Difference): string | undefined {
  return rules.find(({ pcr, applies }) => pcr === difference.pcr && applies(difference))?.says;
}
