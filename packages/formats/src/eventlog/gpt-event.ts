/** UEFI_GPT_DATA (Firmware Profile 1.06, section 10.2.7): the partition table of the disk the boot came from. */

import type { ByteReader } from '../bytes/index.ts';
import { FormatError, parseGuid } from '../bytes/index.ts';
import { utf16Text } from './text.ts';

export interface GptEventData {
  readonly kind: 'gpt';
  readonly diskGuid: string;
  /** Used entries only. */
  readonly partitions: readonly GptEventPartition[];
}

export interface GptEventPartition {
  readonly type: string;
  readonly guid: string;
  readonly firstLba: bigint;
  readonly lastLba: bigint;
  readonly attributes: bigint;
  readonly name: string;
}

const headerSize = 92;
const entrySize = 128;
const nameSize = 72;

/** @throws FormatError */
export function parseGptEvent(reader: ByteReader): GptEventData {
  const at = reader.offset;
  const header = reader.bytes(headerSize, 'GPT header');
  if (Buffer.from(header.subarray(0, 8)).toString('latin1') !== 'EFI PART') {
    throw new FormatError('not-this-format', 'GPT event: no GPT header', { offset: at });
  }
  const count = reader.size64('number of partitions');
  if (count * entrySize !== reader.remaining) {
    const why = `GPT event: ${count} partitions, room for ${reader.remaining / entrySize}`;
    throw new FormatError('malformed', why, { offset: reader.offset - 8 });
  }
  const partitions = Array.from({ length: count }, () => parseEntry(reader));
  return { kind: 'gpt', diskGuid: parseGuid(header, 56), partitions };
}

function parseEntry(reader: ByteReader): GptEventPartition {
  const type = parseGuid(reader.bytes(16, 'partition type'));
  const guid = parseGuid(reader.bytes(16, 'partition GUID'));
  const firstLba = reader.u64('first LBA');
  const lastLba = reader.u64('last LBA');
  const attributes = reader.u64('attributes');
  const at = reader.offset;
  const raw = reader.bytes(nameSize, 'partition name');
  let end = 0;
  while (end < nameSize && (raw[end] !== 0 || raw[end + 1] !== 0)) end += 2;
  return { type, guid, firstLba, lastLba, attributes, name: utf16Text(raw.subarray(0, end), at) };
}
