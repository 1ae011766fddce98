/**
 * PCR 4, 7 and 9 of a machine whose firmware holds the release's keys and starts the release's UKI. Order and data are
 * those of edk2 (DxeTpm2MeasureBootLib, Tcg2Dxe) as the PC Client Platform Firmware Profile 1.06, section 3.3.4 demands.
 */

import { encodeGuid, toHex } from '@osguard/formats/bytes';
import type { SecureBootKeys } from '@osguard/formats/efi';
import {
  describeAuthority,
  describeSignatureLists,
  globalVariableGuid,
  imageSecurityDatabaseGuid,
  keyVariableContent,
  keyVariables,
} from '@osguard/formats/efi';
import type { PcrBank } from '@osguard/formats/eventlog';
import { encodeVariableData } from '@osguard/formats/eventlog';
import type { PeImage } from '@osguard/formats/pe';
import { authenticodeDigest } from '@osguard/formats/pe';
import type { ExpectedEvent, ReferenceBank } from '@osguard/formats/reference-values';
import { hashBytes, hashSources } from './digest.ts';
import { stubInitrd } from './stub-initrd.ts';
import { readMeasuredSections, textOf } from './uki-sections.ts';

const profile = 'PC Client Platform Firmware Profile, section 3.3.4';
const callingApplication = 'Calling EFI Application from Boot Option';

/** Boot loader code: what firmware starts. The kernel inside is started by the stub and measured as a section. */
export function bootLoaderEvents(
  image: PeImage,
  bank: ReferenceBank,
  digest: string = toHex(authenticodeDigest(image, { algorithm: bank })),
): readonly ExpectedEvent[] {
  return [
    {
      log: 'firmware',
      type: 'EV_EFI_ACTION',
      digest: hashBytes(callingApplication, bank),
      what: 'firmware tries the first boot option',
      source: `${profile}.5`,
      text: callingApplication,
    },
    separator(bank, `${profile}.5`),
    {
      log: 'firmware',
      type: 'EV_EFI_BOOT_SERVICES_APPLICATION',
      digest,
      what: 'the boot image that firmware starts',
      source: 'Authenticode digest of uki.efi',
    },
  ];
}

export interface SecureBootExpectation {
  readonly keys: SecureBootKeys;
  /** The certificate of db that verifies the UKI, DER. */
  readonly authority: Uint8Array;
}

/** Secure Boot policy: on, with exactly the release's keys, and which of them vouched for the UKI. */
export function secureBootEvents(
  { keys, authority }: SecureBootExpectation,
  bank: PcrBank,
): readonly ExpectedEvent[] {
  const content = keyVariableContent(keys);
  const variable = (
    name: string,
    value: Uint8Array,
    { vendor, what, source }: { readonly vendor: string; readonly what: string; readonly source: string },
  ): ExpectedEvent => ({
    log: 'firmware',
    type: 'EV_EFI_VARIABLE_DRIVER_CONFIG',
    digest: hashBytes(encodeVariableData({ vendor, name, value }), bank),
    what,
    source,
    text: name === 'SecureBoot' ? toHex(value) : describeSignatureLists(value).join('\n'),
  });
  const key = (name: 'PK' | 'KEK' | 'db' | 'dbx', what: string, source: string): ExpectedEvent =>
    variable(name, content[name], { vendor: keyVariables[name], what: `${name}: ${what}`, source });
  const entry = Buffer.concat([encodeGuid(keys.owner), authority]);
  return [
    variable('SecureBoot', Uint8Array.of(1), {
      vendor: globalVariableGuid,
      what: 'Secure Boot is on',
      source: 'osguard never runs without Secure Boot',
    }),
    key('PK', 'who may change the keys', 'certificate of the role platform'),
    key('KEK', 'who may change db and dbx', 'certificates of the role exchange'),
    key(
      'db',
      'who may sign boot images',
      `${keys.db.length} certificate${keys.db.length === 1 ? '' : 's'} of the keys folder`,
    ),
    key(
      'dbx',
      'what must not run',
      keys.dbx === undefined || keys.dbx.length === 0
        ? 'empty when osguard enrols the keys'
        : `${keys.dbx.length} digests`,
    ),
    separator(bank, `${profile}.8`),
    {
      log: 'firmware',
      type: 'EV_EFI_VARIABLE_AUTHORITY',
      digest: hashBytes(
        encodeVariableData({ vendor: imageSecurityDatabaseGuid, name: 'db', value: entry }),
        bank,
      ),
      what: 'the certificate of db that vouches for the boot image',
      source: 'certificate of the role boot, which signed uki.efi',
      text: describeAuthority(entry),
    },
  ];
}

/** Linux, drivers/firmware/efi/libstub: what the kernel says it was given. */
export function kernelEvents(image: PeImage, bank: PcrBank): readonly ExpectedEvent[] {
  const cmdline = readMeasuredSections(image).get('.cmdline');
  const line = cmdline && loadOptions(textOf(cmdline) ?? '');
  const events: ExpectedEvent[] = [];
  if (line !== undefined && line !== '') {
    events.push({
      log: 'firmware',
      type: 'EV_EVENT_TAG',
      digest: hashBytes(Buffer.from(`${line}\0`, 'utf16le'), bank),
      what: 'command line the kernel was started with',
      source: 'uki.efi, section .cmdline',
      text: line,
    });
  }
  const { parts, sections } = stubInitrd(image);
  if (parts.length > 0) {
    events.push({
      log: 'firmware',
      type: 'EV_EVENT_TAG',
      digest: hashSources(parts, bank),
      what: 'initrd the kernel was given',
      source: `uki.efi, section${sections.length === 1 ? '' : 's'} ${sections.join(', ')}`,
    });
  }
  return events;
}

/** As systemd-stub hands the section to the kernel: control characters become blanks, none at either end. */
function loadOptions(cmdline: string): string {
  // oxlint-disable-next-line no-control-regex
  return cmdline.replaceAll(/[\x01-\x1f]/g, ' ').replaceAll(/^ +| +$/g, '');
}

function separator(bank: PcrBank, source: string): ExpectedEvent {
  return {
    log: 'firmware',
    type: 'EV_SEPARATOR',
    digest: hashBytes(new Uint8Array(4), bank),
    what: 'separator: firmware is done, what follows is the boot',
    source,
  };
}
