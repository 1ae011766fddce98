/** One line for a person about one event. Never throws: what cannot be read is said to be unreadable. */

import { FormatError, toHex } from '../bytes/index.ts';
import type { EventData } from './event-data.ts';
import { parseEventData } from './event-data.ts';
import type { LogEvent } from './parse.ts';

const mostText = 200;

/** For example `variable SecureBoot = 01` or `image HD(1,GPT,…)/\EFI\BOOT\BOOTX64.EFI`. */
export function describeEvent(event: LogEvent): string {
  let data: EventData;
  try {
    data = parseEventData(event);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return `unreadable: ${error.message}`;
  }
  return shorten(describeData(data));
}

function describeData(data: EventData): string {
  switch (data.kind) {
    case 'variable':
      return `variable ${data.name} ${data.value.length <= 8 ? `= ${toHex(data.value)}` : bytes(data.value)}`;
    case 'image-load':
      return `image ${data.devicePath === '' ? `of ${data.size} bytes without a path` : data.devicePath}`;
    case 'separator':
      return data.value === 1 ? 'separator: firmware says it failed' : 'separator';
    case 'text':
      return JSON.stringify(data.text);
    case 'tagged':
      return `tag 0x${data.tag.toString(16)}: ${data.text ?? bytes(data.data)}`;
    case 'firmware-blob':
      return `firmware ${data.description ?? 'volume'} at 0x${data.base.toString(16)}, ${data.length} bytes`;
    case 'gpt':
      return `disk ${data.diskGuid}: ${data.partitions.map(({ name }) => name || '?').join(', ')}`;
    case 'spec-id':
      return `crypto-agile log, specification ${data.specId.version}`;
    case 'startup-locality':
      return `TPM started from locality ${data.locality}`;
    case 'sp800-155':
      return `reference manifest ${data.manifest}`;
    case 'no-action':
      return `note ${JSON.stringify(data.signature)}`;
    case 'bytes':
      return bytes(data.data);
  }
}

function bytes(data: Uint8Array): string {
  return data.length <= 16 ? toHex(data) || 'no data' : `${data.length} bytes`;
}

function shorten(text: string): string {
  return text.length <= mostText ? text : `${text.slice(0, mostText)}…`;
}
