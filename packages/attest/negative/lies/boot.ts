/** Truths the verifier must refuse: the machine really booted something it should not have. */

import { toHex } from '@osguard/formats/bytes';
import { eventTypes } from '@osguard/formats/eventlog';
import { globalVariableGuid, imageSecurityDatabaseGuid } from '@osguard/formats/efi';
import { now } from '../model/baseline.ts';
import { certificates, goodBoot } from '../model/boot.ts';
import { authority, described, digestList, event, sha256, variable } from '../model/log.ts';
import {
  inEvents,
  booting,
  insertBefore,
  isSeparator,
  without,
  isVariable,
  replaceVariable,
} from './helpers.ts';
import type { Lie } from './helpers.ts';

export const secureBootLies: readonly Lie[] = [
  {
    name: 'secure-boot-off',
    lie: 'Secure Boot was off',
    check: 'secure-boot',
    change: inEvents(replaceVariable('SecureBoot', variable('SecureBoot', Uint8Array.of(0)))),
  },
  {
    name: 'secure-boot-unsaid',
    lie: 'firmware that does not say whether Secure Boot was on',
    check: 'secure-boot',
    change: inEvents((events) => without(events, isVariable('SecureBoot'))),
  },
  {
    name: 'secure-boot-audit-mode',
    lie: 'Secure Boot in audit mode, which starts everything',
    check: 'secure-boot',
    change: inEvents((events) =>
      insertBefore(events, isVariable('PK'), variable('AuditMode', Uint8Array.of(1))),
    ),
  },
  {
    name: 'secure-boot-twice',
    lie: 'the variable SecureBoot measured twice, with two values',
    check: 'secure-boot',
    change: inEvents((events) =>
      insertBefore(events, isVariable('PK'), variable('SecureBoot', Uint8Array.of(0), globalVariableGuid)),
    ),
  },
  {
    name: 'secure-boot-debugger',
    lie: 'firmware with its debug mode on',
    check: 'secure-boot',
    change: inEvents((events) =>
      insertBefore(
        events,
        isSeparator(7),
        event(7, eventTypes.EV_EFI_ACTION, Buffer.from('UEFI Debug Mode')),
      ),
    ),
  },
  {
    name: 'db-foreign-key',
    lie: 'one more certificate in db',
    check: 'secure-boot-keys',
    change: booting({ db: [certificates.boot.der, certificates.otherRole.der] }),
  },
  {
    name: 'kek-foreign-key',
    lie: 'a foreign key that may change db',
    check: 'secure-boot-keys',
    change: booting({ exchange: certificates.otherRole.der }),
  },
  {
    name: 'pk-foreign-key',
    lie: 'a machine of another owner',
    check: 'secure-boot-keys',
    change: booting({ platform: certificates.otherRole.der }),
  },
  {
    name: 'db-missing',
    lie: 'firmware that did not measure db',
    check: 'secure-boot-keys',
    change: inEvents((events) => without(events, isVariable('db'))),
  },
  {
    name: 'dbx-missing',
    lie: 'firmware that did not measure dbx',
    check: 'secure-boot-dbx',
    change: inEvents((events) => without(events, isVariable('dbx'))),
  },
  {
    name: 'dbx-lacks-entry',
    lie: 'a dbx without an entry the policy demands',
    check: 'secure-boot-dbx',
    change: inEvents(
      replaceVariable(
        'dbx',
        variable('dbx', digestList(toHex(sha256('another image'))), imageSecurityDatabaseGuid),
      ),
    ),
  },
  {
    name: 'dbx-unexpected',
    lie: 'a dbx that is not the release’s, where the policy names no entries',
    check: 'secure-boot-dbx',
    change: (plan) => ({
      ...inEvents(
        replaceVariable(
          'dbx',
          variable('dbx', digestList(toHex(sha256('another image'))), imageSecurityDatabaseGuid),
        ),
      )(plan),
      policy: (policy) => ({ ...policy, firmware: { ...policy.firmware, dbx: [] } }),
    }),
  },
  {
    name: 'uki-authorised-by-other-role',
    lie: 'the boot image was authorised by the certificate of another role',
    check: 'boot-authority',
    change: inEvents((events) =>
      events.map((each) =>
        each.type === eventTypes.EV_EFI_VARIABLE_AUTHORITY ? authority(certificates.otherRole.der) : each,
      ),
    ),
  },
  {
    name: 'uki-authorised-by-nobody',
    lie: 'firmware that does not say who authorised the boot image',
    check: 'boot-authority',
    change: inEvents((events) =>
      without(events, (each) => each.type === eventTypes.EV_EFI_VARIABLE_AUTHORITY),
    ),
  },
];

export const releasesLies: readonly Lie[] = [
  {
    name: 'firmware-driver',
    lie: 'code of a plugged-in device ran before the boot image',
    check: 'firmware-rules',
    change: inEvents((events) =>
      insertBefore(
        events,
        isSeparator(2),
        described(2, eventTypes.EV_EFI_BOOT_SERVICES_DRIVER, {
          data: Buffer.alloc(32),
          measured: 'option ROM',
        }),
      ),
    ),
  },
  {
    name: 'firmware-boot-attempts',
    lie: 'firmware that handed the machine over more than once',
    check: 'firmware-rules',
    change: inEvents((events) =>
      insertBefore(
        events,
        (each) => each.pcr === 5 && each.type === eventTypes.EV_EFI_ACTION,
        event(5, eventTypes.EV_EFI_ACTION, Buffer.from('Exit Boot Services Invocation')),
      ),
    ),
  },
  {
    name: 'firmware-application',
    lie: 'a program measured into a PCR where no release looks',
    check: 'firmware-rules',
    change: inEvents((events) =>
      insertBefore(
        events,
        isSeparator(3),
        described(3, eventTypes.EV_EFI_BOOT_SERVICES_APPLICATION, {
          data: Buffer.alloc(32),
          measured: 'shell',
        }),
      ),
    ),
  },
  {
    name: 'firmware-version-not-named',
    lie: 'firmware whose version the policy does not name',
    check: 'firmware-rules',
    change: (plan) => ({
      ...plan,
      policy: (policy) => ({ ...policy, firmware: { ...policy.firmware, versions: ['suite firmware 2.0'] } }),
    }),
  },
  {
    name: 'firmware-pcr0-not-named',
    lie: 'firmware whose PCR 0 the policy does not name',
    check: 'firmware-rules',
    change: (plan) => ({
      ...plan,
      policy: (policy) => ({ ...policy, firmware: { ...policy.firmware, pcr0: ['ab'.repeat(32)] } }),
    }),
  },
  {
    name: 'argument-changed',
    lie: 'the same kernel with one more argument, signed by the same boot key',
    check: 'release-measurements',
    change: booting({ commandLine: `${goodBoot.commandLine} init=/bin/sh` }),
  },
  {
    name: 'other-image-of-the-same-key',
    lie: 'another boot image that the boot key signed',
    check: 'release-measurements',
    change: booting({ image: 'a rescue image' }),
  },
  {
    name: 'addon-or-credential',
    lie: 'a command line add-on or credential from the ESP',
    check: 'release-measurements',
    change: inEvents((events) => [
      ...events,
      described(12, eventTypes.EV_IPL, { data: Buffer.from('addon'), measured: 'addon' }),
    ]),
  },
  {
    name: 'system-extension',
    lie: 'a system extension from the ESP',
    check: 'release-measurements',
    change: inEvents((events) => [
      ...events,
      described(13, eventTypes.EV_IPL, { data: Buffer.from('sysext'), measured: 'sysext' }),
    ]),
  },
  {
    name: 'still-in-the-initrd',
    lie: 'evidence made before the host left its initrd',
    check: 'release-measurements',
    change: (plan) => ({ ...plan, records: plan.records.slice(0, 1) }),
  },
  {
    name: 'phase-out-of-order',
    lie: 'the phases of the boot in another order',
    check: 'release-measurements',
    change: (plan) => ({ ...plan, records: plan.records.toReversed() }),
  },
  {
    name: 'no-release-known',
    lie: 'a verifier that knows no release',
    check: 'release-known',
    unreadable: true,
    change: (plan) => ({ ...plan, releases: [] }),
  },
  {
    name: 'release-revoked',
    lie: 'a release that was revoked',
    check: 'release-state',
    change: (plan) => ({
      ...plan,
      releases: plan.releases.map((each) => ({ ...each, state: 'revoked' as const })),
    }),
  },
  {
    name: 'release-grace-over',
    lie: 'a deprecated release after its grace',
    check: 'release-time',
    change: (plan) => ({
      ...plan,
      releases: plan.releases.map((each) => ({ ...each, state: 'deprecated' as const, until: now - 1 })),
    }),
  },
  {
    name: 'release-grace-without-end',
    lie: 'a deprecated release whose grace nobody limited',
    check: 'release-time',
    change: (plan) => ({
      ...plan,
      releases: plan.releases.map((each) => ({ ...each, state: 'deprecated' as const })),
    }),
  },
  {
    name: 'release-too-early',
    lie: 'a release before its time',
    check: 'release-time',
    change: (plan) => ({ ...plan, releases: plan.releases.map((each) => ({ ...each, from: now + 1 })) }),
  },
  {
    name: 'release-older-than-policy',
    lie: 'a release older than the policy allows',
    check: 'release-rollback',
    change: (plan) => ({ ...plan, policy: (policy) => ({ ...policy, minimumVersion: '1.2' }) }),
  },
  {
    name: 'release-rolled-back',
    lie: 'a node put back to an older release',
    check: 'release-rollback',
    change: (plan) => ({
      ...plan,
      node: { last: { clock: 3_600_000n, resetCount: 0xffff_fffe, restartCount: 0, version: '1.10' } },
    }),
  },
];
