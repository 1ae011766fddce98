/** The partition table, and what a glance at each partition's first blocks says about its content. */

import type { ByteSource } from '@osguard/formats/bytes';
import { ByteReader, sliceSource } from '@osguard/formats/bytes';
import { readErofs } from '@osguard/formats/erofs';
import { readFat } from '@osguard/formats/fat';
import type { GptPartition, GptReadResult, GptTypeName } from '@osguard/formats/gpt';
import { gptAttributes, gptTypeName, partitionExtent } from '@osguard/formats/gpt';
import { parseVeritySuperblock, verityGeometry, veritySuperblockSize } from '@osguard/formats/verity';
import type { Findings } from './findings.ts';
import type { DiskReport, PartitionReport } from './report.ts';

export interface OpenedPartition {
  /** As Linux counts: from 1. */
  readonly number: number;
  readonly typeName: GptTypeName | undefined;
  readonly partition: GptPartition;
  /** Bytes. */
  readonly offset: number;
  readonly source: ByteSource;
}

export function openPartitions(disk: ByteSource, table: GptReadResult): readonly OpenedPartition[] {
  return table.partitions.map((partition) => {
    const { offset, size } = partitionExtent(partition, table.sectorSize);
    return {
      number: partition.index + 1,
      typeName: gptTypeName(partition.type),
      partition,
      offset,
      source: sliceSource(disk, offset, size),
    };
  });
}

export interface DescribeDiskOptions {
  readonly table: GptReadResult;
  readonly partitions: readonly OpenedPartition[];
  readonly findings: Findings;
}

export function describeDisk(disk: ByteSource, options: DescribeDiskOptions): DiskReport {
  const { table, partitions, findings } = options;
  return {
    guid: table.diskGuid,
    size: disk.size,
    sectorSize: table.sectorSize,
    tableFindings: table.findings,
    partitions: partitions.map(({ number, typeName, partition, offset, source }): PartitionReport => {
      const content = findings.attempt(`partition ${number}`, () => recognise(source, typeName));
      return {
        number,
        ...(typeName !== undefined && { typeName }),
        type: partition.type,
        label: partition.name,
        uuid: partition.guid,
        offset,
        size: source.size,
        ...(content !== undefined && { content: content.kind }),
        ...(content?.used !== undefined && { used: content.used }),
        attributes: Object.entries(gptAttributes)
          .filter(([, bit]) => (partition.attributes & bit) !== 0n)
          .map(([name]) => name),
      };
    }),
  };
}

interface Content {
  readonly kind: string;
  /** Bytes. */
  readonly used?: number;
}

interface Magic {
  readonly kind: string;
  /** Bytes from the start of the partition. */
  readonly at: number;
  readonly bytes: string;
  /** Bytes in use, for file systems whose superblock says so. */
  readonly used?: (source: ByteSource) => number;
}

const magics: readonly Magic[] = [
  { kind: 'erofs', at: 1024, bytes: '\xe2\xe1\xf5\xe0', used: (source) => readErofs(source).size },
  { kind: 'verity', at: 0, bytes: 'verity\0\0', used: verityUsed },
  { kind: 'squashfs', at: 0, bytes: 'hsqs', used: (source) => field64(source, 40) },
  { kind: 'luks', at: 0, bytes: 'LUKS\xba\xbe' },
  { kind: 'ext4', at: 1080, bytes: '\x53\xef', used: extUsed },
  { kind: 'xfs', at: 0, bytes: 'XFSB' },
  { kind: 'btrfs', at: 65_600, bytes: '_BHRfS_M', used: (source) => field64(source, 65_536 + 0x78) },
  { kind: 'swap', at: 4086, bytes: 'SWAPSPACE2' },
  { kind: 'vfat', at: 510, bytes: '\x55\xaa', used: fatUsed },
];

/** How much of an unknown partition is looked at before it is called empty. Bytes. */
const glance = 1024 * 1024;

function recognise(source: ByteSource, typeName: GptTypeName | undefined): Content | undefined {
  if (typeName?.includes('VeritySig') === true) {
    const text = source.read(0, Math.min(source.size, 64 * 1024));
    const end = text.indexOf(0);
    if (text[0] === 0x7b) return { kind: 'verity signature', used: end === -1 ? text.length : end };
  }
  for (const { kind, at, bytes, used } of magics) {
    if (at + bytes.length > source.size) continue;
    if (Buffer.from(source.read(at, bytes.length)).toString('latin1') !== bytes) continue;
    return used === undefined ? { kind } : { kind, used: used(source) };
  }
  const start = source.read(0, Math.min(source.size, glance));
  return start.every((octet) => octet === 0) ? { kind: 'empty', used: 0 } : undefined;
}

function verityUsed(source: ByteSource): number {
  const { algorithm, hashType, dataBlocks, dataBlockSize, hashBlockSize } = parseVeritySuperblock(
    Uint8Array.from(source.read(0, veritySuperblockSize)),
  );
  const parameters = { algorithm, hashType, dataBlocks, dataBlockSize, hashBlockSize };
  return verityGeometry({ ...parameters, superblock: true }).hashEnd;
}

/** Files rounded up to clusters, a cluster a folder, and what lies before the data. */
function fatUsed(source: ByteSource): number {
  const { geometry, nodes } = readFat(source);
  const { clusterSize, clusterCount, sectors, sectorSize } = geometry;
  const before = sectors * sectorSize - clusterCount * clusterSize;
  return nodes.reduce(
    (sum, { size }) => sum + Math.max(1, Math.ceil(size / clusterSize)) * clusterSize,
    before,
  );
}

/** Blocks that are not free: fs/ext4/ext4.h, struct ext4_super_block, low halves only below 16 TiB. */
function extUsed(source: ByteSource): number {
  const reader = new ByteReader(Uint8Array.from(source.read(1024, 32)));
  reader.skip(4, 'inodes');
  const blocks = reader.u32('blocks');
  reader.skip(4, 'reserved blocks');
  const free = reader.u32('free blocks');
  reader.skip(8, 'free inodes and first block');
  const shift = reader.u32('block size');
  return Math.max(0, blocks - free) * 2 ** (10 + Math.min(shift, 6));
}

function field64(source: ByteSource, at: number): number {
  return new ByteReader(Uint8Array.from(source.read(at, 8))).size64('bytes used');
}
