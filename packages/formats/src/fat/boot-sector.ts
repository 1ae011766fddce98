/**
 * Boot sector (BIOS parameter block) and FSInfo sector. Microsoft "FAT32 File System Specification" 1.03,
 * sections "Boot Sector and BPB", "FAT Type Determination" and "FAT32 FSInfo Sector Structure", which
 * UEFI 2.10 §13.3 adopts for the EFI system partition.
 */

import { ByteReader, ByteWriter, FormatError } from '../bytes/index.ts';

export type FatType = 'fat12' | 'fat16' | 'fat32';

export interface FatGeometry {
  readonly type: FatType;
  /** Bytes; 512, 1024, 2048 or 4096. */
  readonly sectorSize: number;
  /** Bytes. */
  readonly clusterSize: number;
  /** Data clusters; they are numbered from 2. */
  readonly clusterCount: number;
  /** Sectors before the first FAT. */
  readonly reservedSectors: number;
  readonly fatCount: number;
  /** Sectors of one FAT. */
  readonly fatSectors: number;
  /** Slots of the fixed root directory of FAT12 and FAT16; 0 on FAT32. */
  readonly rootEntries: number;
  /** First cluster of the root directory of FAT32; 0 otherwise. */
  readonly rootCluster: number;
  /** Sectors of the whole volume. */
  readonly sectors: number;
  readonly volumeId: number;
  /** Eleven characters, padded with spaces on disk; here without the padding. */
  readonly label: string;
}

/** Below it a volume is FAT12, below the second FAT16, whatever its label says. */
const minFat16Clusters = 4085;
export const minFat32Clusters = 65_525;
const maxFat32Clusters = 0x0fff_fff5;

const fsInfoSector = 1;
export const backupBootSector = 6;
const extendedSignature = 0x29;
const bootSignature = 0xaa55;

/** Byte offsets of the regions that follow from the geometry. */
export function fatRegions(geometry: FatGeometry): {
  readonly fat: number;
  readonly fatSize: number;
  readonly root: number;
  readonly data: number;
} {
  const { sectorSize, reservedSectors, fatCount, fatSectors, rootEntries } = geometry;
  const root = (reservedSectors + fatCount * fatSectors) * sectorSize;
  return {
    fat: reservedSectors * sectorSize,
    fatSize: fatSectors * sectorSize,
    root,
    data: root + Math.ceil((rootEntries * 32) / sectorSize) * sectorSize,
  };
}

/** 512 bytes of a FAT32 boot sector. @param hiddenSectors blocks of the disk before the volume. */
export function encodeBootSector(geometry: FatGeometry, hiddenSectors: number): Uint8Array<ArrayBuffer> {
  return (
    new ByteWriter({ capacity: 512 })
      .bytes(Uint8Array.of(0xeb, 0x58, 0x90))
      // The OEM name that the specification recommends: some drivers look at it.
      .bytes(ascii('MSWIN4.1', 8))
      .u16(geometry.sectorSize)
      .u8(geometry.clusterSize / geometry.sectorSize)
      .u16(geometry.reservedSectors)
      .u8(geometry.fatCount)
      .u16(0)
      .u16(0)
      .u8(0xf8)
      .u16(0)
      // CHS geometry, long without meaning: the usual 63 sectors and 255 heads.
      .u16(63)
      .u16(255)
      .u32(hiddenSectors)
      .u32(geometry.sectors)
      .u32(geometry.fatSectors)
      .u16(0)
      .u16(0)
      .u32(geometry.rootCluster)
      .u16(fsInfoSector)
      .u16(backupBootSector)
      .zeros(12)
      .u8(0x80)
      .u8(0)
      .u8(extendedSignature)
      .u32(geometry.volumeId)
      .bytes(ascii(geometry.label === '' ? 'NO NAME' : geometry.label, 11))
      .bytes(ascii('FAT32', 8))
      // Started as a program it halts: hlt, and again after an interrupt.
      .bytes(Uint8Array.of(0xf4, 0xeb, 0xfd))
      .zeros(512 - 93 - 2)
      .u16(bootSignature)
      .finish()
  );
}

/** 512 bytes. */
export function encodeFsInfo(freeClusters: number, nextFree: number): Uint8Array<ArrayBuffer> {
  return new ByteWriter({ capacity: 512 })
    .u32(0x4161_5252)
    .zeros(480)
    .u32(0x6141_7272)
    .u32(freeClusters)
    .u32(nextFree)
    .zeros(12)
    .u32(0xaa55_0000)
    .finish();
}

/**
 * @param sector at least 512 bytes.
 * @throws FormatError (`not-this-format`) when there is no FAT volume, (`malformed`) when its sizes do not
 *   fit together or drivers would disagree about its type.
 */
export function parseBootSector(sector: Uint8Array): FatGeometry {
  const reader = new ByteReader(sector);
  reader.skip(11, 'jump and OEM name');
  const sectorSize = reader.u16('bytes per sector');
  const sectorsPerCluster = reader.u8('sectors per cluster');
  const reservedSectors = reader.u16('reserved sectors');
  const fatCount = reader.u8('number of FATs');
  const rootEntries = reader.u16('root entries');
  const sectors16 = reader.u16('sectors (16 bit)');
  const media = reader.u8('media');
  const fatSectors16 = reader.u16('sectors per FAT (16 bit)');
  reader.skip(8, 'CHS geometry and hidden sectors');
  const sectors = sectors16 === 0 ? reader.u32('sectors') : skip32(reader, sectors16);
  if (![512, 1024, 2048, 4096].includes(sectorSize)) throw strange(`sectors of ${sectorSize} bytes`, 11);
  if (sectorsPerCluster === 0 || (sectorsPerCluster & (sectorsPerCluster - 1)) !== 0) {
    throw strange(`${sectorsPerCluster} sectors per cluster`, 13);
  }
  if (reservedSectors === 0 || fatCount === 0 || fatCount > 2) {
    throw strange(`${reservedSectors} reserved sectors and ${fatCount} FATs`, 14);
  }
  if (media !== 0xf0 && media < 0xf8) throw strange(`media 0x${media.toString(16)}`, 21);
  const wide = fatSectors16 === 0 ? parseFat32(reader) : undefined;
  const fatSectors = wide?.fatSectors ?? fatSectors16;
  reader.skip(2, 'drive number');
  const extended = reader.u8('extended boot signature') === extendedSignature;
  const volumeId = reader.u32('volume ID');
  const label = Buffer.from(reader.bytes(11, 'label')).toString('latin1').trimEnd();

  const shape = { sectorSize, reservedSectors, fatCount, fatSectors, rootEntries };
  const rootSectors = Math.ceil((rootEntries * 32) / sectorSize);
  const dataSectors = sectors - reservedSectors - fatCount * fatSectors - rootSectors;
  const clusterCount = Math.floor(dataSectors / sectorsPerCluster);
  if (clusterCount < 1) throw bad(`${sectors} sectors leave no room for data`);
  // Linux and EDK2 go by the field `sectors per FAT (16 bit)`, and other tools make FAT32 volumes with fewer clusters
  // than the specification asks for (systemd-repart, with clusters of 4 KiB). Ours never are.
  const narrow = clusterCount < minFat16Clusters ? 'fat12' : 'fat16';
  const type = wide === undefined ? narrow : 'fat32';
  if ((wide === undefined && clusterCount >= minFat32Clusters) || (wide === undefined) !== rootEntries > 0) {
    throw bad(
      `${clusterCount} clusters and ${rootEntries} root entries do not go with the boot sector of ${type}`,
      'drivers disagree about such a volume',
    );
  }
  const bits = { fat12: 12, fat16: 16, fat32: 32 }[type];
  if (clusterCount > maxFat32Clusters || ((clusterCount + 2) * bits) / 8 > fatSectors * sectorSize) {
    throw bad(`${fatSectors} sectors of FAT are too few for ${clusterCount} clusters`);
  }
  const rootCluster = wide?.rootCluster ?? 0;
  if (wide !== undefined && (rootCluster < 2 || rootCluster >= clusterCount + 2)) {
    throw bad(`root directory at cluster ${rootCluster} of ${clusterCount}`);
  }
  return {
    ...shape,
    type,
    clusterSize: sectorSize * sectorsPerCluster,
    clusterCount,
    rootCluster,
    sectors,
    volumeId: extended ? volumeId : 0,
    label: extended && label !== 'NO NAME' ? label : '',
  };
}

function strange(message: string, offset: number): FormatError {
  return new FormatError('not-this-format', `no FAT boot sector: ${message}`, { offset });
}

function bad(message: string, hint?: string): FormatError {
  return new FormatError('malformed', message, hint === undefined ? { offset: 11 } : { offset: 11, hint });
}

function parseFat32(reader: ByteReader): { readonly fatSectors: number; readonly rootCluster: number } {
  const fatSectors = reader.u32('sectors per FAT');
  const flags = reader.u16('extended flags');
  if ((flags & 0x80) !== 0) {
    throw new FormatError('unsupported', 'only one of the FATs is active', { offset: 40 });
  }
  const version = reader.u16('version');
  if (version !== 0) throw new FormatError('unsupported', `FAT32 version ${version}`, { offset: 42 });
  const rootCluster = reader.u32('root cluster');
  reader.skip(16, 'FSInfo, backup boot sector and reserved bytes');
  return { fatSectors, rootCluster };
}

function skip32(reader: ByteReader, value: number): number {
  reader.skip(4, 'sectors (32 bit)');
  return value;
}

function ascii(text: string, length: number): Uint8Array {
  return Buffer.from(text.padEnd(length, ' '), 'latin1');
}
