/** The EROFS superblock: `struct erofs_super_block`, 128 bytes at offset 1024. */

import type { ByteSource } from '../bytes/index.ts';
import { ByteReader, ByteWriter, decodeText, encodeText, FormatError } from '../bytes/index.ts';
import { crc32cRaw } from './crc32c.ts';
import {
  compatFeature,
  incompatFeature,
  incompatNames,
  superblockMagic,
  superblockOffset,
  superblockSize,
} from './layout.ts';

export interface ErofsSuperblock {
  readonly blockSize: number;
  /** Blocks of the file system, superblock included. */
  readonly blocks: number;
  readonly inodes: number;
  /** Seconds since 1970 (may be negative): the mtime of every compact inode. */
  readonly buildTime: number;
  readonly buildTimeNsec: number;
  readonly rootNid: number;
  /** First block of the inode area. */
  readonly metaBlock: number;
  /** First block of the shared xattr area. */
  readonly xattrBlock: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** At most 16 bytes of UTF-8. */
  readonly volumeName: string;
  readonly compatFeatures: number;
  readonly incompatFeatures: number;
  /** Long xattr name prefixes: how many, and where they start in units of 4 bytes. */
  readonly xattrPrefixCount: number;
  readonly xattrPrefixStart: number;
  /** The inode that holds packed tails and xattr prefixes; 0 when there is none. */
  readonly packedNid: number;
  /** Whether the stored CRC-32C was there to be checked (and was right). */
  readonly checksummed: boolean;
}

export const smallestBlock = 512;
export const largestBlock = 65536;

/** Bytes before the first data block: the superblock and what shares its blocks. */
export function headSize(blockSize: number): number {
  return Math.ceil((superblockOffset + superblockSize) / blockSize) * blockSize;
}

/** The checksum covers the rest of block 0, or a whole block where the superblock starts one. */
function checksummedSize(blockSize: number): number {
  return blockSize > superblockOffset ? blockSize - superblockOffset : blockSize;
}

const checksumField = 4;

/** The first {@link headSize} bytes of an image. */
export function encodeSuperblock(superblock: ErofsSuperblock): Uint8Array<ArrayBuffer> {
  const volumeName = encodeText(superblock.volumeName);
  if (superblock.uuid.length !== 16) throw new FormatError('not-encodable', 'a UUID has 16 bytes');
  if (volumeName.length > 16) throw new FormatError('not-encodable', 'a volume name has at most 16 bytes');
  const writer = new ByteWriter({ capacity: superblockSize })
    .u32(superblockMagic)
    .u32(0)
    .u32(superblock.compatFeatures)
    .u8(Math.log2(superblock.blockSize))
    .u8(0)
    .u16(superblock.rootNid)
    .u64(superblock.inodes)
    .u64(BigInt.asUintN(64, BigInt(superblock.buildTime)))
    .u32(superblock.buildTimeNsec)
    .u32(superblock.blocks)
    .u32(superblock.metaBlock)
    .u32(superblock.xattrBlock)
    .bytes(superblock.uuid)
    .bytes(volumeName)
    .zeros(16 - volumeName.length)
    .u32(superblock.incompatFeatures);
  const head = new Uint8Array(headSize(superblock.blockSize));
  head.set(writer.finish(), superblockOffset);
  if (superblock.compatFeatures & compatFeature.superblockChecksum) {
    const covered = head.subarray(superblockOffset, superblockOffset + checksummedSize(superblock.blockSize));
    new DataView(head.buffer).setUint32(superblockOffset + checksumField, crc32cRaw(covered), true);
  }
  return head;
}

/** @throws FormatError for anything a reader of flat, chunk-based images must not guess about. */
export function parseSuperblock(source: ByteSource): ErofsSuperblock {
  if (source.size < superblockOffset + superblockSize) {
    throw new FormatError('truncated', `${source.size} bytes are too few for an EROFS image`);
  }
  const reader = new ByteReader(Uint8Array.from(source.read(superblockOffset, superblockSize)), {
    base: superblockOffset,
  });
  if (reader.u32('magic') !== superblockMagic) {
    throw new FormatError('not-this-format', 'no EROFS superblock', { offset: superblockOffset });
  }
  const storedChecksum = reader.u32('checksum');
  const compatFeatures = reader.u32('feature_compat');
  const blockBits = reader.u8('blkszbits');
  const extraSlots = reader.u8('sb_extslots');
  const rootNid = reader.u16('root_nid');
  const inodes = reader.size64('inos');
  const buildTime = Number(BigInt.asIntN(64, reader.u64('build_time')));
  const buildTimeNsec = reader.u32('build_time_nsec');
  const blocks = reader.u32('blocks');
  const metaBlock = reader.u32('meta_blkaddr');
  const xattrBlock = reader.u32('xattr_blkaddr');
  const uuid = Uint8Array.from(reader.bytes(16, 'uuid'));
  const volumeName = decodeVolumeName(reader.bytes(16, 'volume_name'));
  const incompatFeatures = reader.u32('feature_incompat');
  reader.skip(2, 'available_compr_algs');
  const extraDevices = reader.u16('extra_devices');
  reader.skip(2, 'devt_slotoff');
  const directoryBlockBits = reader.u8('dirblkbits');
  const xattrPrefixCount = reader.u8('xattr_prefix_count');
  const xattrPrefixStart = reader.u32('xattr_prefix_start');
  const packedNid = reader.size64('packed_nid');

  const blockSize = 2 ** blockBits;
  if (blockSize < smallestBlock || blockSize > largestBlock) {
    throw new FormatError('malformed', `block size 2^${blockBits}`, { offset: superblockOffset + 12 });
  }
  refuseFeatures(incompatFeatures, { compatFeatures, extraDevices, extraSlots, directoryBlockBits });
  const checksummed = (compatFeatures & compatFeature.superblockChecksum) !== 0;
  if (checksummed) verifyChecksum(source, blockSize, storedChecksum);
  if (!Number.isSafeInteger(buildTime)) {
    throw new FormatError('malformed', 'build time beyond any clock', { offset: superblockOffset + 24 });
  }
  const size = blocks * blockSize;
  if (size > source.size) {
    throw new FormatError('truncated', `the superblock claims ${size} bytes of ${source.size}`, {
      offset: superblockOffset + 36,
    });
  }
  if (size < superblockOffset + superblockSize || metaBlock >= blocks || xattrBlock > blocks) {
    throw new FormatError('malformed', `metadata at blocks ${metaBlock} and ${xattrBlock} of ${blocks}`, {
      offset: superblockOffset + 36,
    });
  }
  return {
    blockSize,
    blocks,
    inodes,
    buildTime,
    buildTimeNsec,
    rootNid,
    metaBlock,
    xattrBlock,
    uuid,
    volumeName,
    compatFeatures,
    incompatFeatures,
    xattrPrefixCount,
    xattrPrefixStart,
    packedNid,
    checksummed,
  };
}

function decodeVolumeName(field: Uint8Array): string {
  const end = field.indexOf(0);
  return decodeText(end < 0 ? field : field.subarray(0, end));
}

/** Features that change only how compressed inodes look are let through: such inodes are refused one by one. */
const readableFeatures =
  0x01 |
  0x02 |
  0x10 |
  incompatFeature.fragments |
  incompatFeature.chunkedFile |
  incompatFeature.xattrPrefixes;

interface FeatureFields {
  readonly compatFeatures: number;
  readonly extraDevices: number;
  readonly extraSlots: number;
  readonly directoryBlockBits: number;
}

function refuseFeatures(incompat: number, fields: FeatureFields): void {
  let refused = incompat & ~readableFeatures;
  // The bit is shared with compression's second head; without a device it says nothing about data.
  if (fields.extraDevices === 0) refused &= ~incompatFeature.deviceTable;
  if (refused !== 0) {
    const names = [];
    for (let bit = 0; bit < 32; bit += 1) {
      const mask = 2 ** bit;
      if (((refused >>> bit) & 1) === 1) names.push(incompatNames.get(mask) ?? `bit ${bit}`);
    }
    throw new FormatError('unsupported', `EROFS feature ${names.join(', ')}`, {
      offset: superblockOffset + 80,
    });
  }
  if (fields.compatFeatures & compatFeature.sharedXattrsInMetabox) {
    throw new FormatError('unsupported', 'shared xattrs in a metabox', { offset: superblockOffset + 8 });
  }
  if (fields.directoryBlockBits !== 0) {
    throw new FormatError('unsupported', 'directory blocks larger than blocks', {
      offset: superblockOffset + 90,
    });
  }
}

function verifyChecksum(source: ByteSource, blockSize: number, stored: number): void {
  const length = checksummedSize(blockSize);
  const covered = Uint8Array.from(source.read(superblockOffset, length));
  covered.fill(0, checksumField, checksumField + 4);
  const computed = crc32cRaw(covered);
  if (computed !== stored) {
    throw new FormatError(
      'checksum',
      `superblock CRC-32C is ${stored.toString(16)}, should be ${computed.toString(16)}`,
      {
        offset: superblockOffset + checksumField,
      },
    );
  }
}
