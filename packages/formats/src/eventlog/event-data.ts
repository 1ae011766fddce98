/** What an event's data says, by event type (Firmware Profile 1.06, sections 10.2 and 10.4). */

import { ByteReader, FormatError, parseGuid } from '../bytes/index.ts';
import { formatDevicePath } from './device-path.ts';
import { parseGptEvent } from './gpt-event.ts';
import type { GptEventData } from './gpt-event.ts';
import { parseNoAction } from './no-action.ts';
import type { NoActionData } from './no-action.ts';
import type { LogEvent } from './parse.ts';
import { guessText, utf16Text, utf8Text } from './text.ts';
import { eventTypes } from './types.ts';

/** UEFI_VARIABLE_DATA. */
export interface VariableData {
  readonly kind: 'variable';
  /** Vendor GUID, lower case. */
  readonly vendor: string;
  readonly name: string;
  readonly value: Uint8Array;
}

/** UEFI_IMAGE_LOAD_EVENT. */
export interface ImageLoadData {
  readonly kind: 'image-load';
  /** Where the image was in memory; tells nothing about the image. */
  readonly location: bigint;
  /** Bytes in memory. */
  readonly size: number;
  readonly linkTimeAddress: bigint;
  /** In the text form of UEFI; empty when firmware gave none. */
  readonly devicePath: string;
}

/** EV_SEPARATOR: four bytes, 0 or 0xffffffff normally, 1 when firmware says it failed. */
export interface SeparatorData {
  readonly kind: 'separator';
  readonly value: number;
}

/** Strings of actions, versions, boot loaders and stubs. */
export interface TextData {
  readonly kind: 'text';
  readonly text: string;
}

/** TCG_PCClientTaggedEvent: what the Linux kernel's EFI stub writes. */
export interface TaggedData {
  readonly kind: 'tagged';
  readonly tag: number;
  readonly data: Uint8Array;
  /** The data as text when it is printable. */
  readonly text: string | undefined;
}

/** UEFI_PLATFORM_FIRMWARE_BLOB(2). */
export interface FirmwareBlobData {
  readonly kind: 'firmware-blob';
  readonly description?: string;
  readonly base: bigint;
  readonly length: bigint;
}

export interface BytesData {
  readonly kind: 'bytes';
  readonly data: Uint8Array;
}

export type EventData =
  | VariableData
  | ImageLoadData
  | SeparatorData
  | TextData
  | TaggedData
  | FirmwareBlobData
  | GptEventData
  | NoActionData
  | BytesData;

const mostPadding = 16;

/** @throws FormatError with the byte offset in the log when the data is not what the event's type demands. */
export function parseEventData(event: LogEvent): EventData {
  const { data, dataOffset: base } = event;
  const reader = (): ByteReader => new ByteReader(data, { base });
  switch (event.type) {
    case eventTypes.EV_NO_ACTION:
      return parseNoAction(event);
    case eventTypes.EV_SEPARATOR:
      return parseSeparator(reader());
    case eventTypes.EV_EFI_VARIABLE_DRIVER_CONFIG:
    case eventTypes.EV_EFI_VARIABLE_BOOT:
    case eventTypes.EV_EFI_VARIABLE_BOOT2:
    case eventTypes.EV_EFI_VARIABLE_AUTHORITY:
      return parseVariable(reader());
    case eventTypes.EV_EFI_BOOT_SERVICES_APPLICATION:
    case eventTypes.EV_EFI_BOOT_SERVICES_DRIVER:
    case eventTypes.EV_EFI_RUNTIME_SERVICES_DRIVER:
      return parseImageLoad(reader());
    case eventTypes.EV_EFI_GPT_EVENT:
    case eventTypes.EV_EFI_GPT_EVENT2:
      return parseGptEvent(reader());
    case eventTypes.EV_ACTION:
    case eventTypes.EV_EFI_ACTION:
    case eventTypes.EV_OMIT_BOOT_DEVICE_EVENTS:
      return { kind: 'text', text: utf8Text(data, base) };
    case eventTypes.EV_S_CRTM_VERSION:
      return parseVersion(data, base);
    case eventTypes.EV_EVENT_TAG:
      return parseTagged(reader());
    case eventTypes.EV_EFI_PLATFORM_FIRMWARE_BLOB:
      return { ...parseBlob(reader(), 'firmware blob') };
    case eventTypes.EV_EFI_PLATFORM_FIRMWARE_BLOB2:
      return parseBlob2(reader());
    case eventTypes.EV_IPL:
    case eventTypes.EV_POST_CODE:
    case eventTypes.EV_EFI_HCRTM_EVENT:
    case eventTypes.EV_COMPACT_HASH:
      return textOrBytes(data);
    default:
      return { kind: 'bytes', data };
  }
}

/** Section 10.4.2.2: always four bytes. */
function parseSeparator(reader: ByteReader): SeparatorData {
  const { offset } = reader;
  const value = reader.u32('separator');
  reader.end('separator');
  if (value !== 0 && value !== 1 && value !== 0xffff_ffff) {
    throw new FormatError('malformed', `separator 0x${value.toString(16)}`, { offset });
  }
  return { kind: 'separator', value };
}

function parseVariable(reader: ByteReader): VariableData {
  const vendor = parseGuid(reader.bytes(16, 'variable GUID'));
  const characters = reader.size64('length of the variable name');
  const size = reader.size64('size of the variable');
  const at = reader.offset;
  const name = utf16Text(reader.bytes(characters * 2, 'variable name'), at);
  const value = reader.bytes(size, 'variable');
  endsWithin(reader, 'UEFI_VARIABLE_DATA');
  return { kind: 'variable', vendor, name, value };
}

function parseImageLoad(reader: ByteReader): ImageLoadData {
  const location = reader.u64('image location');
  const size = reader.size64('image length');
  const linkTimeAddress = reader.u64('link time address');
  const length = reader.size64('length of the device path');
  const base = reader.offset;
  const devicePath = formatDevicePath(reader.bytes(length, 'device path'), { base });
  endsWithin(reader, 'UEFI_IMAGE_LOAD_EVENT');
  return { kind: 'image-load', location, size, linkTimeAddress, devicePath };
}

/** Firmware and boot loaders allocate such events with room for padding and log it too, whatever it holds. */
function endsWithin(reader: ByteReader, what: string): void {
  if (reader.remaining > mostPadding) reader.end(what);
}

/** A UCS-2 string, or a GUID (section 10.4.1). */
function parseVersion(data: Uint8Array, base: number): TextData | BytesData {
  const asText = data.length % 2 === 0 ? guessUtf16(data, base) : undefined;
  if (asText !== undefined) return { kind: 'text', text: asText };
  return data.length === 16 ? { kind: 'text', text: parseGuid(data) } : textOrBytes(data);
}

function guessUtf16(data: Uint8Array, base: number): string | undefined {
  try {
    const text = utf16Text(data, base);
    return /^[\x20-\x7e]*$/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function parseTagged(reader: ByteReader): TaggedData {
  const tag = reader.u32('tag');
  const data = reader.bytes(reader.u32('size of tagged data'), 'tagged data');
  reader.end('TCG_PCClientTaggedEvent');
  return { kind: 'tagged', tag, data, text: guessText(data) };
}

function parseBlob(reader: ByteReader, what: string): FirmwareBlobData {
  const blob = { kind: 'firmware-blob', base: reader.u64('base'), length: reader.u64('length') } as const;
  reader.end(what);
  return blob;
}

function parseBlob2(reader: ByteReader): FirmwareBlobData {
  const size = reader.u8('size of the description');
  const at = reader.offset;
  const description = utf8Text(reader.bytes(size, 'description'), at);
  return { ...parseBlob(reader, 'firmware blob'), description };
}

function textOrBytes(data: Uint8Array): TextData | BytesData {
  const text = guessText(data);
  return text === undefined ? { kind: 'bytes', data } : { kind: 'text', text };
}
