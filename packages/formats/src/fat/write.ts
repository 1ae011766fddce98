/**
 * FAT32 volumes from a tree of files: everything is placed first, contiguously and in name order, then
 * handed out as segments, so that a large body goes from its source to the disk without being copied.
 */

import type { Segment } from '../bytes/index.ts';
import { FormatError, sourceOf } from '../bytes/index.ts';
import type { FatGeometry } from './boot-sector.ts';
import { backupBootSector, encodeBootSector, encodeFsInfo, fatRegions } from './boot-sector.ts';
import type { FatFile, TreeDirectory, TreeFile } from './tree.ts';
import { buildTree, directorySize, encodeDirectory } from './tree.ts';
import { chooseGeometry } from './geometry.ts';

export interface WriteFatOptions {
  /** Bytes of the volume: all of its partition. */
  readonly size: number;
  readonly files: readonly FatFile[];
  /** 32 bits, shown as `XXXX-XXXX`. */
  readonly volumeId: number;
  /** At most eleven characters of the short name set, upper case. */
  readonly label?: string;
  /** Seconds since 1970 UTC; FAT begins in 1980. */
  readonly mtime: number;
  /** Bytes of a logical block of the disk; 512 unless told otherwise. */
  readonly sectorSize?: 512 | 4096;
  /** Blocks of the disk before the volume: the first block of its partition. */
  readonly hiddenSectors?: number;
}

export interface FatImage {
  readonly geometry: FatGeometry;
  /** Ascending, without overlap; whatever lies between them is zero. See segmentSource. */
  readonly segments: readonly Segment[];
  /** Bytes that further files may take, in whole clusters. */
  readonly freeBytes: number;
}

const endOfChain = 0x0fff_ffff;

/** @throws FormatError (`not-encodable`) for illegal or colliding names, or when the files do not fit. */
export function writeFat(options: WriteFatOptions): FatImage {
  const { sectorSize = 512, label = '', volumeId } = options;
  if (!/^[A-Z0-9$%'\-_@~`!(){}^#& ]{0,11}$/.test(label) || label.startsWith(' ')) {
    throw new FormatError('not-encodable', `${JSON.stringify(label)} is not a FAT volume label`);
  }
  const geometry = { ...chooseGeometry(options.size, sectorSize), volumeId, label };
  const { clusterSize, clusterCount } = geometry;
  const tree = buildTree(options.files, { label, mtime: options.mtime });
  const clustersOf = (bytes: number): number => Math.ceil(bytes / clusterSize);

  let next = 2;
  const chains: { readonly first: number; readonly count: number }[] = [];
  const place = (node: TreeDirectory | TreeFile, bytes: number): void => {
    const count = clustersOf(bytes);
    if (count === 0) return;
    node.cluster = next;
    chains.push({ first: next, count });
    next += count;
  };
  // Folders first: they end up close together and near the FAT.
  for (const directory of tree.directories) place(directory, directorySize(directory));
  for (const file of tree.files) place(file, file.body.size);
  const used = next - 2;
  if (used > clusterCount) {
    throw new FormatError(
      'not-encodable',
      `the files take ${used * clusterSize} bytes, a FAT32 volume of ${options.size} bytes holds ` +
        `${clusterCount * clusterSize}`,
      { hint: 'make the partition larger' },
    );
  }

  const regions = fatRegions(geometry);
  const offsetOf = (cluster: number): number => regions.data + (cluster - 2) * clusterSize;
  const boot = encodeBootSector(geometry, options.hiddenSectors ?? 0);
  const free = clusterCount - used;
  const fsInfo = encodeFsInfo(free, free === 0 ? 0xffff_ffff : next);
  const fat = encodeFat(chains, next);
  const segments: Segment[] = [
    { offset: 0, body: sourceOf(boot) },
    { offset: sectorSize, body: sourceOf(fsInfo) },
    { offset: backupBootSector * sectorSize, body: sourceOf(boot) },
    { offset: (backupBootSector + 1) * sectorSize, body: sourceOf(fsInfo) },
    { offset: regions.fat, body: sourceOf(fat) },
    { offset: regions.fat + regions.fatSize, body: sourceOf(fat) },
  ];
  for (const directory of tree.directories) {
    segments.push({ offset: offsetOf(directory.cluster), body: sourceOf(encodeDirectory(directory)) });
  }
  for (const file of tree.files) {
    if (file.cluster !== 0) segments.push({ offset: offsetOf(file.cluster), body: file.body });
  }
  return { geometry, segments, freeBytes: free * clusterSize };
}

/** The FAT up to its last used entry; the rest is free, which is zero. */
function encodeFat(
  chains: readonly { readonly first: number; readonly count: number }[],
  used: number,
): Uint8Array<ArrayBuffer> {
  const fat = new Uint8Array(used * 4);
  const view = new DataView(fat.buffer);
  // Entry 0 repeats the media byte, entry 1 says: unmounted cleanly, no errors.
  view.setUint32(0, 0x0fff_fff8, true);
  view.setUint32(4, endOfChain, true);
  for (const { first, count } of chains) {
    const last = first + count - 1;
    for (let cluster = first; cluster < last; cluster += 1) view.setUint32(cluster * 4, cluster + 1, true);
    view.setUint32(last * 4, endOfChain, true);
  }
  return fat;
}
