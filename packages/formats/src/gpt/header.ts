/** GPT header (UEFI 2.10 table 5.5) and partition entry array (table 5.6). */

import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, FormatError, encodeGuid, nilGuid, parseGuid } from '../bytes/index.ts';
import type { GptPartition } from './table.ts';

const signature = 'EFI PART';
const revision = 0x0001_0000;
const headerSize = 92;
const crcAt = 16;

export const entrySize = 128;
const nameUnits = 36;
/** UEFI 2.10 §5.3.1: the array takes at least this many bytes, whatever it holds. */
export const minArraySize = 16_384;
/** 8,192 entries of 128 bytes; real tables have 128, the largest seen 1,024. */
const maxArraySize = 1024 * 1024;

export interface GptHeader {
  readonly myLba: number;
  readonly alternateLba: number;
  readonly firstUsableLba: number;
  readonly lastUsableLba: number;
  readonly diskGuid: string;
  readonly entriesLba: number;
  readonly entryCount: number;
  readonly entrySize: number;
  readonly entriesCrc32: number;
}

/** @returns 92 bytes with their CRC; the rest of the block is zero. */
export function encodeGptHeader(header: GptHeader): Uint8Array<ArrayBuffer> {
  const bytes = new ByteWriter({ capacity: headerSize })
    .bytes(Buffer.from(signature, 'latin1'))
    .u32(revision)
    .u32(headerSize)
    .zeros(8)
    .u64(header.myLba)
    .u64(header.alternateLba)
    .u64(header.firstUsableLba)
    .u64(header.lastUsableLba)
    .bytes(encodeGuid(header.diskGuid))
    .u64(header.entriesLba)
    .u32(header.entryCount)
    .u32(header.entrySize)
    .u32(header.entriesCrc32)
    .finish();
  new DataView(bytes.buffer).setUint32(crcAt, crc32(bytes), true);
  return bytes;
}

/**
 * @param block the whole logical block; UEFI demands zeros after the header, real disks have them or not.
 * @param base where the block lies on the disk, for error offsets.
 * @throws FormatError when the signature, revision, size or CRC is wrong or a field contradicts another.
 */
export function parseGptHeader(block: Uint8Array, base = 0): GptHeader {
  const reader = new ByteReader(block, { base });
  if (Buffer.from(reader.bytes(8, 'signature')).toString('latin1') !== signature) {
    throw new FormatError('not-this-format', `no GPT header: signature is not ${signature}`, {
      offset: base,
    });
  }
  const found = reader.u32('revision');
  if (found !== revision) {
    throw new FormatError('unsupported', `GPT revision 0x${found.toString(16)}, known is 0x10000`, {
      offset: base + 8,
    });
  }
  const size = reader.u32('header size');
  if (size < headerSize || size > block.length) {
    throw new FormatError('malformed', `header size ${size} is not in ${headerSize} to ${block.length}`, {
      offset: base + 12,
    });
  }
  const stored = reader.u32('header CRC');
  const covered = Uint8Array.from(block.subarray(0, size));
  covered.fill(0, crcAt, crcAt + 4);
  const computed = crc32(covered);
  if (stored !== computed) {
    throw new FormatError('checksum', `header CRC is ${hex(stored)}, computed ${hex(computed)}`, {
      offset: base + crcAt,
    });
  }
  reader.skip(4, 'reserved');
  const header = {
    myLba: reader.size64('MyLBA'),
    alternateLba: reader.size64('AlternateLBA'),
    firstUsableLba: reader.size64('FirstUsableLBA'),
    lastUsableLba: reader.size64('LastUsableLBA'),
    diskGuid: parseGuid(reader.bytes(16, 'DiskGUID')),
    entriesLba: reader.size64('PartitionEntryLBA'),
    entryCount: reader.u32('NumberOfPartitionEntries'),
    entrySize: reader.u32('SizeOfPartitionEntry'),
    entriesCrc32: reader.u32('PartitionEntryArrayCRC32'),
  };
  assertArray(header, base);
  return header;
}

function assertArray({ entryCount, entrySize: size }: GptHeader, base: number): void {
  // §5.3.2: 128 × 2^n; the bounds keep a hostile header from asking for more memory than any real table.
  if (size < entrySize || size > 4096 || (size & (size - 1)) !== 0) {
    throw new FormatError('malformed', `entry size ${size} is not 128 × 2^n up to 4096`, {
      offset: base + 84,
    });
  }
  if (entryCount === 0 || entryCount * size > maxArraySize) {
    throw new FormatError('too-large', `${entryCount} entries of ${size} bytes`, { offset: base + 80 });
  }
}

/** @returns `entryCount` × 128 bytes. */
export function encodeEntries(
  partitions: readonly GptPartition[],
  entryCount: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(entryCount * entrySize);
  for (const partition of partitions) {
    if (partition.type === nilGuid) {
      throw new FormatError('not-encodable', `partition ${partition.index}: the nil type means unused`);
    }
    const entry = new ByteWriter({ capacity: entrySize })
      .bytes(encodeGuid(partition.type))
      .bytes(encodeGuid(partition.guid))
      .u64(partition.firstLba)
      .u64(partition.lastLba)
      .u64(partition.attributes);
    const { name } = partition;
    if (name.length > nameUnits || name.includes('\0')) {
      throw new FormatError(
        'not-encodable',
        `partition name ${JSON.stringify(name)} is longer than ${nameUnits} UTF-16 units or has a NUL`,
      );
    }
    for (let i = 0; i < name.length; i += 1) entry.u16(name.charCodeAt(i));
    bytes.set(entry.finish(), partition.index * entrySize);
  }
  return bytes;
}

/** Used entries of a checked array. @param base where the array lies on the disk, for error offsets. */
export function parseEntries(array: Uint8Array, header: GptHeader, base: number): readonly GptPartition[] {
  const partitions: GptPartition[] = [];
  for (let index = 0; index < header.entryCount; index += 1) {
    const at = index * header.entrySize;
    const reader = new ByteReader(array.subarray(at, at + header.entrySize), { base: base + at });
    const type = parseGuid(reader.bytes(16, 'PartitionTypeGUID'));
    if (type === nilGuid) continue;
    partitions.push({
      index,
      type,
      guid: parseGuid(reader.bytes(16, 'UniquePartitionGUID')),
      firstLba: reader.size64('StartingLBA'),
      lastLba: reader.size64('EndingLBA'),
      attributes: reader.u64('Attributes'),
      name: parseName(reader),
    });
  }
  return partitions;
}

function parseName(reader: ByteReader): string {
  let name = '';
  for (let i = 0; i < nameUnits; i += 1) {
    const unit = reader.u16('PartitionName');
    if (unit === 0) break;
    name += String.fromCharCode(unit);
  }
  return name;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
