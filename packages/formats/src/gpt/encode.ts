/** Writes both copies of a GUID partition table (UEFI 2.10 §5.3.1). */

import { crc32 } from 'node:zlib';
import { FormatError } from '../bytes/index.ts';
import { encodeEntries, encodeGptHeader, entrySize, minArraySize } from './header.ts';
import { encodeProtectiveMbr } from './mbr.ts';
import type { GptPartition, SectorSize } from './table.ts';
import { assertPartitions } from './table.ts';

export interface EncodeGptOptions {
  /** Logical blocks of the whole disk. */
  readonly sectors: number;
  /** Bytes of a logical block; 512 unless told otherwise. */
  readonly sectorSize?: SectorSize;
  readonly diskGuid: string;
  /** An absent index is the position in this list. */
  readonly partitions: readonly (Omit<GptPartition, 'index'> & { readonly index?: number })[];
  /** Slots of the entry array; 128 unless told otherwise. */
  readonly entryCount?: number;
}

export interface GptRegion {
  /** Where the bytes belong on the disk. Bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Blocks that one copy of the entry array takes: 32 of 512 bytes or 4 of 4096 for the usual 128 entries. */
export function entryArraySectors(sectorSize: SectorSize, entryCount = 128): number {
  return Math.ceil(Math.max(entryCount * entrySize, minArraySize) / sectorSize);
}

/**
 * Both copies, ready to be written at their offsets: `primary` is the protective MBR, the header and the
 * entries from byte 0; `backup` the entries and the header up to the last byte of the disk.
 *
 * @throws FormatError (`not-encodable`) for partitions that overlap, lie outside the usable blocks, share a
 *   unique GUID, or a disk too small for the two tables.
 */
export function encodeGpt(options: EncodeGptOptions): {
  readonly primary: GptRegion;
  readonly backup: GptRegion;
} {
  const { sectors, diskGuid, sectorSize = 512, entryCount = 128 } = options;
  const arraySectors = entryArraySectors(sectorSize, entryCount);
  const firstUsableLba = 2 + arraySectors;
  const lastUsableLba = sectors - 2 - arraySectors;
  if (!Number.isSafeInteger(sectors) || lastUsableLba < firstUsableLba) {
    throw new FormatError('not-encodable', `a disk of ${sectors} blocks has no room for a GPT`);
  }
  const partitions = options.partitions.map((partition, position) => ({
    ...partition,
    index: partition.index ?? position,
    guid: partition.guid.toLowerCase(),
  }));
  assertPartitions(
    { firstUsableLba, lastUsableLba, entryCount, partitions },
    (message) => new FormatError('not-encodable', message),
  );
  const entries = encodeEntries(partitions, entryCount);
  const shared = { firstUsableLba, lastUsableLba, diskGuid, entryCount, entrySize };
  const entriesCrc32 = crc32(entries);

  const primary = new Uint8Array(firstUsableLba * sectorSize);
  primary.set(encodeProtectiveMbr(sectors));
  const first = { ...shared, entriesCrc32, myLba: 1, alternateLba: sectors - 1, entriesLba: 2 };
  primary.set(encodeGptHeader(first), sectorSize);
  primary.set(entries, 2 * sectorSize);

  const backup = new Uint8Array((arraySectors + 1) * sectorSize);
  const last = {
    ...shared,
    entriesCrc32,
    myLba: sectors - 1,
    alternateLba: 1,
    entriesLba: lastUsableLba + 1,
  };
  backup.set(entries);
  backup.set(encodeGptHeader(last), arraySectors * sectorSize);
  return {
    primary: { offset: 0, bytes: primary },
    backup: { offset: (lastUsableLba + 1) * sectorSize, bytes: backup },
  };
}
