/** Places partitions one after the other, aligned, and computes how large the disk must be. */

import { FormatError } from '../bytes/index.ts';
import { entryArraySectors } from './encode.ts';
import type { SectorSize } from './table.ts';

const mebibyte = 1024 * 1024;

export interface LayoutOptions {
  /** What each partition holds at least. Bytes, in the order on the disk. */
  readonly sizes: readonly number[];
  readonly sectorSize?: SectorSize;
  /** Starts and sizes of partitions and the disk itself are multiples of it. Bytes; 1 MiB by default. */
  readonly alignment?: number;
  readonly entryCount?: number;
  /** Size the disk has when the partitions leave room. Bytes. */
  readonly minDiskSize?: number;
}

export interface DiskLayout {
  readonly sectorSize: SectorSize;
  /** Logical blocks of the whole disk. */
  readonly sectors: number;
  /** Bytes: `sectors × sectorSize`, a multiple of the alignment. */
  readonly diskSize: number;
  readonly extents: readonly {
    readonly firstLba: number;
    /** Inclusive. */
    readonly lastLba: number;
    /** Bytes. */
    readonly offset: number;
    /** Bytes, rounded up to the alignment. */
    readonly size: number;
  }[];
}

/** @throws FormatError (`not-encodable`) for a size that is not positive or an alignment below a block. */
export function layoutDisk(options: LayoutOptions): DiskLayout {
  const { sizes, sectorSize = 512, alignment = mebibyte, entryCount = 128, minDiskSize = 0 } = options;
  if (!Number.isSafeInteger(alignment) || alignment < sectorSize || alignment % sectorSize !== 0) {
    throw new FormatError('not-encodable', `alignment ${alignment} is not a multiple of ${sectorSize}`);
  }
  const arraySectors = entryArraySectors(sectorSize, entryCount);
  const up = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;
  let end = up((2 + arraySectors) * sectorSize);
  const extents = sizes.map((wanted) => {
    if (!Number.isSafeInteger(wanted) || wanted <= 0) {
      throw new FormatError('not-encodable', `a partition of ${wanted} bytes`);
    }
    const offset = end;
    const size = up(wanted);
    end += size;
    return { firstLba: offset / sectorSize, lastLba: end / sectorSize - 1, offset, size };
  });
  // A disk without partitions still has one usable block.
  const used = Math.max(end, (2 + arraySectors + 1) * sectorSize);
  const diskSize = up(Math.max(used + (arraySectors + 1) * sectorSize, minDiskSize));
  return { sectorSize, sectors: diskSize / sectorSize, diskSize, extents };
}
