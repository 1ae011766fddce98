/**
 * Writes a raw disk: GUID partition table (UEFI 2.10 §5.3) around partitions whose content comes in segments.
 * Blocks nobody fills stay holes, so that an empty slot costs nothing on the build host.
 */

import { closeSync, fsyncSync, ftruncateSync, openSync } from 'node:fs';
import type { Segment } from '@osguard/formats/bytes';
import { sourceOf } from '@osguard/formats/bytes';
import type { DiskLayout } from '@osguard/formats/gpt';
import { encodeGpt, layoutDisk } from '@osguard/formats/gpt';
import { ImageError } from '../error.ts';
import { writeSegments } from '../files/write.ts';

export interface DiskPartition {
  /** Partition type GUID (`gptTypes`). */
  readonly type: string;
  /** Unique partition GUID. */
  readonly guid: string;
  /** PARTLABEL. */
  readonly name: string;
  readonly attributes?: bigint;
  /** Bytes; rounded up to 1 MiB. At least the length of the content. */
  readonly size: number;
  /** What is in it, at offsets from its start; the rest is zero. */
  readonly content: readonly Segment[];
}

export interface DiskPlan {
  readonly diskGuid: string;
  readonly partitions: readonly DiskPartition[];
  /** Bytes left free after the last partition; none unless told otherwise. */
  readonly freeSpace?: number;
}

export interface WrittenDisk extends DiskLayout {
  /** Everything on the disk that is not zero lies in one of these, at offsets from its start. */
  readonly written: readonly Segment[];
}

/** @throws ImageError (`too-small`) when a partition's content does not fit in it. */
export function writeDisk(path: string, plan: DiskPlan): WrittenDisk {
  const sizes = plan.partitions.map(({ size }) => size);
  const { diskSize } = layoutDisk({ sizes });
  const layout = layoutDisk({ sizes, minDiskSize: diskSize + (plan.freeSpace ?? 0) });
  const placed = plan.partitions.map((partition, index) => {
    const extent = layout.extents[index];
    const last = partition.content.at(-1);
    const length = last === undefined ? 0 : last.offset + last.body.size;
    if (extent === undefined || length > extent.size) {
      throw new ImageError(
        'too-small',
        `partition ${partition.name}: ${length} bytes do not fit in ${partition.size}`,
        {
          hint: 'raise the size of that partition in the definition',
        },
      );
    }
    return { partition, extent };
  });
  const table = encodeGpt({
    sectors: layout.sectors,
    sectorSize: layout.sectorSize,
    diskGuid: plan.diskGuid,
    partitions: placed.map(({ partition, extent }) => ({
      type: partition.type,
      guid: partition.guid,
      name: partition.name,
      attributes: partition.attributes ?? 0n,
      firstLba: extent.firstLba,
      lastLba: extent.lastLba,
    })),
  });
  const written = [
    { offset: table.primary.offset, body: sourceOf(table.primary.bytes) },
    ...placed.flatMap(({ partition, extent }) =>
      partition.content.map(({ offset, body }) => ({ offset: extent.offset + offset, body })),
    ),
    { offset: table.backup.offset, body: sourceOf(table.backup.bytes) },
  ];
  const fd = openSync(path, 'wx', 0o644);
  try {
    ftruncateSync(fd, layout.diskSize);
    writeSegments(fd, written, 0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return { ...layout, written };
}
