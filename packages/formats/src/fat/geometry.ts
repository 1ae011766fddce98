/** Cluster size and FAT length for a new FAT32 volume. */

import { FormatError } from '../bytes/index.ts';
import type { FatGeometry } from './boot-sector.ts';
import { minFat32Clusters } from './boot-sector.ts';

/** Some drivers are off by a few clusters at the FAT16 border, so the specification says to stay clear of it. */
const margin = 16;
/** At least; more are added so that the data is aligned. */
const minReservedSectors = 32;
const pageSize = 4096;
const mebibyte = 1024 * 1024;

/** Cluster sizes by volume size, as the specification's table for FAT32 has them. */
const preferred: readonly (readonly [number, number])[] = [
  [260 * mebibyte, 512],
  [8192 * mebibyte, 4096],
  [16_384 * mebibyte, 8192],
  [32_768 * mebibyte, 16_384],
  [Number.POSITIVE_INFINITY, 32_768],
];

/**
 * @param size bytes of the volume.
 * @throws FormatError (`not-encodable`) below about 33 MiB (512-byte sectors) or 258 MiB (4096): firmware
 *   would not take a smaller one for FAT32.
 */
export function chooseGeometry(size: number, sectorSize: 512 | 4096): FatGeometry {
  const sectors = Math.floor(size / sectorSize);
  if (!Number.isSafeInteger(size) || sectors > 0xffff_ffff) {
    throw new FormatError('not-encodable', `a FAT volume of ${size} bytes`);
  }
  const wanted = preferred.find(([limit]) => size <= limit)?.[1] ?? 32_768;
  for (let clusterSize = Math.max(wanted, sectorSize); clusterSize >= sectorSize; clusterSize /= 2) {
    const geometry = withClusters(sectors, sectorSize, clusterSize);
    if (geometry.clusterCount >= minFat32Clusters + margin) return geometry;
  }
  const least = (minFat32Clusters + margin) * (sectorSize + 8) + (minReservedSectors + 8) * sectorSize;
  throw new FormatError('not-encodable', `${size} bytes are too few for FAT32`, {
    hint: `it needs 65,525 clusters: about ${Math.ceil(least / mebibyte)} MiB`,
  });
}

function withClusters(sectors: number, sectorSize: number, clusterSize: number): FatGeometry {
  const perCluster = clusterSize / sectorSize;
  // One entry of 4 bytes a cluster, and two that are reserved; a little too long is harmless.
  const fatSectors = Math.ceil(((sectors / perCluster + 2) * 4) / sectorSize);
  const alignment = Math.max(pageSize, clusterSize) / sectorSize;
  const dataSector = Math.ceil((minReservedSectors + 2 * fatSectors) / alignment) * alignment;
  return {
    type: 'fat32',
    sectorSize,
    clusterSize,
    clusterCount: Math.floor((sectors - dataSector) / perCluster),
    reservedSectors: dataSector - 2 * fatSectors,
    fatCount: 2,
    fatSectors,
    rootEntries: 0,
    rootCluster: 2,
    sectors,
    volumeId: 0,
    label: '',
  };
}
