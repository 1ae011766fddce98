/** What a GUID partition table says, independent of how it is stored (UEFI 2.10 §5.3). */

import { FormatError } from '../bytes/index.ts';

export interface GptPartition {
  /** Slot in the entry array, from 0; Linux numbers the partition `index + 1`. */
  readonly index: number;
  /** Partition type GUID, see gptTypes. */
  readonly type: string;
  /** Unique partition GUID: PARTUUID. */
  readonly guid: string;
  /** First block. */
  readonly firstLba: number;
  /** Last block, inclusive. */
  readonly lastLba: number;
  /** All 64 attribute bits, see gptAttributes. */
  readonly attributes: bigint;
  /** PARTLABEL, at most 36 UTF-16 code units. */
  readonly name: string;
}

export type SectorSize = 512 | 4096;

export interface GptTable {
  /** Bytes of one logical block. */
  readonly sectorSize: SectorSize;
  readonly diskGuid: string;
  readonly firstUsableLba: number;
  /** Inclusive. */
  readonly lastUsableLba: number;
  readonly entryCount: number;
  /** Used entries in the order of their index. */
  readonly partitions: readonly GptPartition[];
}

/** Where a partition lies on the disk. Bytes. */
export function partitionExtent(
  partition: Pick<GptPartition, 'firstLba' | 'lastLba'>,
  sectorSize: SectorSize,
): { readonly offset: number; readonly size: number } {
  return {
    offset: partition.firstLba * sectorSize,
    size: (partition.lastLba - partition.firstLba + 1) * sectorSize,
  };
}

/**
 * Every partition inside the usable blocks, none over another, no unique GUID twice: what both writing and
 * reading demand, since a disk that breaks it means different things to different readers.
 */
export function assertPartitions(
  table: Pick<GptTable, 'firstUsableLba' | 'lastUsableLba' | 'entryCount' | 'partitions'>,
  fail: (message: string) => FormatError,
): void {
  const guids = new Map<string, number>();
  const slots = new Set<number>();
  for (const { index, guid, firstLba, lastLba } of table.partitions) {
    const what = `partition ${index}`;
    if (!Number.isSafeInteger(index) || index < 0 || index >= table.entryCount) {
      throw fail(`${what}: the table has ${table.entryCount} entries`);
    }
    if (slots.has(index)) throw fail(`${what}: index used twice`);
    slots.add(index);
    if (!Number.isSafeInteger(firstLba) || !Number.isSafeInteger(lastLba) || lastLba < firstLba) {
      throw fail(`${what}: blocks ${firstLba} to ${lastLba} are not a range`);
    }
    if (firstLba < table.firstUsableLba || lastLba > table.lastUsableLba) {
      throw fail(
        `${what}: blocks ${firstLba} to ${lastLba} lie outside the usable ` +
          `${table.firstUsableLba} to ${table.lastUsableLba}`,
      );
    }
    const twin = guids.get(guid);
    if (twin !== undefined) throw fail(`${what}: has the same unique GUID as partition ${twin} (${guid})`);
    guids.set(guid, index);
  }
  const ordered = table.partitions.toSorted((a, b) => a.firstLba - b.firstLba);
  for (const [i, next] of ordered.entries()) {
    const before = ordered[i - 1];
    if (before !== undefined && next.firstLba <= before.lastLba) {
      throw fail(`partition ${next.index} overlaps partition ${before.index} at block ${next.firstLba}`);
    }
  }
}
