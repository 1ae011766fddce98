/** Rules for the PCRs that firmware and its settings decide, the same for every release. */

import type { FirmwareRule } from '@osguard/formats/reference-values';

export const firmwareRules: readonly FirmwareRule[] = [
  {
    id: 'separators',
    kind: 'separators',
    pcrs: [0, 1, 2, 3, 4, 5, 6, 7],
    why: 'what is measured after the separator cannot pass for firmware',
  },
  {
    id: 'digests',
    kind: 'digests',
    pcrs: [0, 1, 2, 3, 4, 5, 6, 7],
    why: 'what the log says happened is what was measured',
  },
  {
    id: 'firmware-code',
    kind: 'event-types',
    pcrs: [0],
    types: [
      'EV_S_CRTM_CONTENTS',
      'EV_S_CRTM_VERSION',
      'EV_POST_CODE',
      'EV_POST_CODE2',
      'EV_SEPARATOR',
      'EV_NONHOST_CODE',
      'EV_NONHOST_INFO',
      'EV_EFI_BOOT_SERVICES_DRIVER',
      'EV_EFI_RUNTIME_SERVICES_DRIVER',
      'EV_EFI_PLATFORM_FIRMWARE_BLOB',
      'EV_EFI_PLATFORM_FIRMWARE_BLOB2',
      'EV_EFI_HANDOFF_TABLES',
      'EV_EFI_HANDOFF_TABLES2',
      'EV_EFI_HCRTM_EVENT',
    ],
    why: 'nothing but firmware runs before the boot image',
  },
  {
    id: 'no-drivers',
    kind: 'drivers',
    pcrs: [2],
    allowed: [],
    why: 'code of plugged-in devices runs before the boot image and could change it',
  },
  {
    id: 'no-applications',
    kind: 'no-event-types',
    pcrs: [0, 1, 2, 3, 5, 6],
    types: ['EV_EFI_BOOT_SERVICES_APPLICATION'],
    why: 'programs belong into PCR 4, where the release says which one',
  },
  {
    id: 'boot-attempt',
    kind: 'actions',
    pcr: 5,
    texts: ['Exit Boot Services Invocation', 'Exit Boot Services Returned with Success'],
    why: 'firmware handed the machine over once',
  },
];
