/**
 * Firmware logs in the crypto-agile form with one bank, SHA-256 (TCG PC Client Platform Firmware Profile 1.06, section 10),
 * and the log of a machine with edk2 firmware that boots a UKI under Secure Boot with its own keys.
 */

import { hash } from 'node:crypto';
import { ByteWriter, encodeGuid } from '@osguard/formats/bytes';
import {
  certificateLists,
  digestLists,
  encodeSignatureLists,
  globalVariableGuid,
  imageSecurityDatabaseGuid,
} from '@osguard/formats/efi';
import { encodeVariableData, eventTypes } from '@osguard/formats/eventlog';

export interface ModelEvent {
  readonly pcr: number;
  readonly type: number;
  readonly data: Uint8Array;
  /** Of the bank SHA-256, 32 bytes. */
  readonly digest: Uint8Array;
}

export const sha256 = (data: Uint8Array | string): Uint8Array => hash('sha256', data, 'buffer');
const text = (value: string): Uint8Array => Buffer.from(value, 'utf8');
const utf16 = (value: string): Uint8Array => Buffer.from(value, 'utf16le');

/** An event whose digest covers its data. */
export function event(pcr: number, type: number, data: Uint8Array): ModelEvent {
  return { pcr, type, data, digest: sha256(data) };
}

/** An event whose data only describes what was measured. */
export function described(
  pcr: number,
  type: number,
  { data, measured }: { readonly data: Uint8Array; readonly measured: Uint8Array | string },
): ModelEvent {
  return { pcr, type, data, digest: sha256(measured) };
}

/** EV_NO_ACTION: says something, extends nothing. */
export function note(signature: string, data: Uint8Array, pcr = 0): ModelEvent {
  const head = Buffer.alloc(16);
  head.write(signature, 'latin1');
  return {
    pcr,
    type: eventTypes.EV_NO_ACTION,
    data: Buffer.concat([head, data]),
    digest: new Uint8Array(32),
  };
}

export function separator(pcr: number, value = 0): ModelEvent {
  return event(pcr, eventTypes.EV_SEPARATOR, Uint8Array.of(value & 255, 0, 0, 0));
}

export function variable(name: string, value: Uint8Array, vendor: string = globalVariableGuid): ModelEvent {
  return event(7, eventTypes.EV_EFI_VARIABLE_DRIVER_CONFIG, encodeVariableData({ vendor, name, value }));
}

/** Which certificate of db vouched for an image. */
export function authority(certificate: Uint8Array): ModelEvent {
  const value = Buffer.concat([encodeGuid(owner), certificate]);
  return event(
    7,
    eventTypes.EV_EFI_VARIABLE_AUTHORITY,
    encodeVariableData({ vendor: imageSecurityDatabaseGuid, name: 'db', value }),
  );
}

export const owner = 'c5e1a9f6-4d2b-4a37-9e0b-6f1d2c3b4a59';

export function keyList(...certificates: readonly Uint8Array[]): Uint8Array {
  return encodeSignatureLists(certificateLists(owner, certificates));
}

export function digestList(...digests: readonly string[]): Uint8Array {
  return encodeSignatureLists(
    digestLists(
      owner,
      digests.map((hex) => Buffer.from(hex, 'hex')),
    ),
  );
}

export interface ModelBoot {
  readonly platform: Uint8Array;
  readonly exchange: Uint8Array;
  /** Certificates of db; the first vouches for the boot image. */
  readonly db: readonly Uint8Array[];
  /** Digests of dbx, lower-case hex. */
  readonly dbx: readonly string[];
  readonly commandLine: string;
  /** Stands for the boot image. */
  readonly image: string;
  readonly firmwareVersion: string;
  /** More events in PCR 0 and 1, for logs as long as those of servers. */
  readonly padding?: number;
}

/** What firmware, systemd-stub and the kernel's stub measure, in the order of edk2. */
export function bootLog(boot: ModelBoot): ModelEvent[] {
  const blob = (name: string): ModelEvent =>
    described(0, eventTypes.EV_EFI_PLATFORM_FIRMWARE_BLOB, {
      data: new ByteWriter().u64(0xff_0000).u64(0x1_0000).finish(),
      measured: name,
    });
  const bootVariable = (name: string, value: Uint8Array): ModelEvent => {
    const data = encodeVariableData({ vendor: globalVariableGuid, name, value });
    return described(1, eventTypes.EV_EFI_VARIABLE_BOOT, { data, measured: value });
  };
  const section = (name: string, content: string): ModelEvent[] => [
    described(11, eventTypes.EV_IPL, { data: utf16(`${name}\0`), measured: `${name}\0` }),
    described(11, eventTypes.EV_IPL, { data: utf16(`${name}\0`), measured: content }),
  ];
  const action = (pcr: number, words: string): ModelEvent =>
    event(pcr, eventTypes.EV_EFI_ACTION, text(words));
  const padding = Array.from({ length: boot.padding ?? 0 }, (_, index) =>
    index % 3 === 0
      ? blob(`volume ${index}`)
      : bootVariable(
          `Boot${index.toString(16).padStart(4, '0')}`,
          utf16(`option ${index} of this machine's firmware, with a path and a name`),
        ),
  );
  return [
    event(0, eventTypes.EV_S_CRTM_VERSION, utf16(`${boot.firmwareVersion}\0`)),
    blob('PEI volume'),
    blob('DXE volume'),
    variable('SecureBoot', Uint8Array.of(1)),
    variable('PK', keyList(boot.platform)),
    variable('KEK', keyList(boot.exchange)),
    variable('db', keyList(...boot.db), imageSecurityDatabaseGuid),
    variable('dbx', digestList(...boot.dbx), imageSecurityDatabaseGuid),
    separator(7),
    described(1, eventTypes.EV_EFI_HANDOFF_TABLES, {
      data: new ByteWriter().u64(0).finish(),
      measured: 'SMBIOS',
    }),
    bootVariable('BootOrder', Uint8Array.of(0, 0)),
    bootVariable('Boot0000', utf16('UEFI disk')),
    ...padding,
    action(4, 'Calling EFI Application from Boot Option'),
    ...[0, 1, 2, 3, 4, 5, 6].map((pcr) => separator(pcr)),
    authority(boot.db[0] ?? new Uint8Array()),
    described(4, eventTypes.EV_EFI_BOOT_SERVICES_APPLICATION, {
      data: new ByteWriter()
        .u64(0x7d00_0000)
        .u64(0x400_0000)
        .u64(0)
        .u64(4)
        .bytes(Uint8Array.of(0x7f, 0xff, 4, 0))
        .finish(),
      measured: boot.image,
    }),
    ...section('.linux', 'kernel'),
    ...section('.osrel', 'ID=osguard'),
    ...section('.cmdline', boot.commandLine),
    ...section('.initrd', 'initrd'),
    ...section('.uname', '7.3.0'),
    ...section('.sbat', 'sbat,1'),
    described(9, eventTypes.EV_EVENT_TAG, {
      data: tagged(0x8f3b22ec, 'Linux load options'),
      measured: utf16(`${boot.commandLine}\0`),
    }),
    described(9, eventTypes.EV_EVENT_TAG, { data: tagged(0x8f3b22ed, 'Linux initrd'), measured: 'initrd' }),
    action(5, 'Exit Boot Services Invocation'),
    action(5, 'Exit Boot Services Returned with Success'),
  ];
}

function tagged(tag: number, name: string): Uint8Array {
  const said = text(`${name}\0`);
  return new ByteWriter().u32(tag).u32(said.length).bytes(said).finish();
}

/** The bytes the kernel shows. The first event is in the old form and says what the others look like. */
export function encodeLog(events: readonly ModelEvent[]): Uint8Array {
  const specId = new ByteWriter()
    .bytes(text('Spec ID Event03\0'))
    .u32(0)
    .u8(0)
    .u8(2)
    .u8(0)
    .u8(2)
    .u32(1)
    .u16(0x000b)
    .u16(32)
    .u8(0)
    .finish();
  const writer = new ByteWriter()
    .u32(0)
    .u32(eventTypes.EV_NO_ACTION)
    .bytes(new Uint8Array(20))
    .u32(specId.length)
    .bytes(specId);
  for (const { pcr, type, data, digest } of events) {
    writer.u32(pcr).u32(type).u32(1).u16(0x000b).bytes(digest).u32(data.length).bytes(data);
  }
  return writer.finish();
}
