/**
 * Reads a GUID partition table the way firmware does (UEFI 2.10 §5.3.2): the primary copy when it is sound,
 * else the backup; unlike firmware it tells what was wrong with either.
 */

import { crc32 } from 'node:zlib';
import type { ByteSource } from '../bytes/index.ts';
import { FormatError } from '../bytes/index.ts';
import type { GptHeader } from './header.ts';
import { parseEntries, parseGptHeader } from './header.ts';
import { checkProtectiveMbr } from './mbr.ts';
import type { GptPartition, GptTable, SectorSize } from './table.ts';
import { assertPartitions } from './table.ts';

export interface GptFinding {
  readonly where: 'mbr' | 'primary' | 'backup';
  readonly message: string;
}

export interface GptReadResult extends GptTable {
  /** Logical blocks of the whole disk. */
  readonly sectors: number;
  /** The copy the partitions were taken from. */
  readonly copy: 'primary' | 'backup';
  /** Empty on a sound disk: everything that differs from what the specification asks for. */
  readonly findings: readonly GptFinding[];
}

export interface ReadGptOptions {
  /** Bytes of a logical block; found out from where the header lies when absent. */
  readonly sectorSize?: SectorSize;
}

interface Copy {
  readonly header: GptHeader;
  readonly partitions: readonly GptPartition[];
}

/**
 * @throws FormatError when the protective MBR is missing, when neither copy is sound, or when the copy that
 *   counts describes partitions that overlap or lie outside the usable blocks.
 */
export function readGpt(disk: ByteSource, options: ReadGptOptions = {}): GptReadResult {
  const sectorSize = options.sectorSize ?? probeSectorSize(disk);
  const sectors = Math.floor(disk.size / sectorSize);
  const mbrRemarks = checkProtectiveMbr(disk.read(0, 512), sectors);
  const findings: GptFinding[] = mbrRemarks.map((message) => ({ where: 'mbr', message }));
  if (disk.size % sectorSize !== 0) {
    findings.push({ where: 'mbr', message: `${disk.size % sectorSize} bytes after the last whole block` });
  }
  const primary = attempt(() => readCopy(disk, { sectorSize, sectors, lba: 1 }));
  const backupLba = primary instanceof FormatError ? sectors - 1 : primary.header.alternateLba;
  const backup = attempt(() => readCopy(disk, { sectorSize, sectors, lba: backupLba }));
  if (primary instanceof FormatError) findings.push({ where: 'primary', message: primary.message });
  if (backup instanceof FormatError) findings.push({ where: 'backup', message: backup.message });
  if (backupLba !== sectors - 1) {
    findings.push({
      where: 'backup',
      message: `lies at block ${backupLba}, not at the last one (${sectors - 1})`,
    });
  }
  const chosen = primary instanceof FormatError ? backup : primary;
  if (chosen instanceof FormatError) {
    throw new FormatError('malformed', `neither copy of the GPT is sound; primary: ${verdict(primary)}`, {
      cause: primary,
      hint: `backup: ${verdict(backup)}`,
    });
  }
  if (!(primary instanceof FormatError) && !(backup instanceof FormatError)) {
    findings.push(...differences(primary, backup));
  }
  const { header, partitions } = chosen;
  const table = {
    sectorSize,
    sectors,
    diskGuid: header.diskGuid,
    firstUsableLba: header.firstUsableLba,
    lastUsableLba: header.lastUsableLba,
    entryCount: header.entryCount,
    partitions,
  };
  assertPartitions(
    table,
    (text) => new FormatError('malformed', text, { offset: header.entriesLba * sectorSize }),
  );
  return { ...table, copy: chosen === primary ? 'primary' : 'backup', findings };
}

function readCopy(
  disk: ByteSource,
  { sectorSize, sectors, lba }: { sectorSize: SectorSize; sectors: number; lba: number },
): Copy {
  const base = lba * sectorSize;
  const header = parseGptHeader(disk.read(base, sectorSize), base);
  const bad = (text: string): FormatError => new FormatError('malformed', text, { offset: base });
  if (header.myLba !== lba) throw bad(`the header at block ${lba} says it lies at ${header.myLba}`);
  if (lba === 1 ? header.alternateLba < 2 : header.alternateLba !== 1) {
    throw bad(`the header at block ${lba} has its other copy at ${header.alternateLba}`);
  }
  const arraySize = header.entryCount * header.entrySize;
  const arrayEnd = header.entriesLba + Math.ceil(arraySize / sectorSize) - 1;
  const { entriesLba, firstUsableLba, lastUsableLba } = header;
  if (firstUsableLba < 2 || lastUsableLba < firstUsableLba || lastUsableLba >= sectors) {
    throw bad(`usable blocks ${firstUsableLba} to ${lastUsableLba} on a disk of ${sectors}`);
  }
  const clear = lba === 1 ? arrayEnd < firstUsableLba : entriesLba > lastUsableLba && arrayEnd < lba;
  if (entriesLba < 2 || !clear) {
    throw bad(`the entries at blocks ${entriesLba} to ${arrayEnd} lie over something else`);
  }
  const array = disk.read(entriesLba * sectorSize, arraySize);
  if (crc32(array) !== header.entriesCrc32) {
    throw new FormatError('checksum', 'the CRC of the partition entries is wrong', {
      offset: entriesLba * sectorSize,
    });
  }
  return { header, partitions: parseEntries(array, header, entriesLba * sectorSize) };
}

function differences(primary: Copy, backup: Copy): readonly GptFinding[] {
  const same =
    primary.header.entriesCrc32 === backup.header.entriesCrc32 &&
    primary.header.entryCount === backup.header.entryCount &&
    primary.header.entrySize === backup.header.entrySize &&
    primary.header.diskGuid === backup.header.diskGuid &&
    primary.header.firstUsableLba === backup.header.firstUsableLba &&
    primary.header.lastUsableLba === backup.header.lastUsableLba;
  return same ? [] : [{ where: 'backup', message: 'sound, but says something else than the primary' }];
}

/** The block size is recorded nowhere: the header lies in the second block and, the backup, in the last. */
function probeSectorSize(disk: ByteSource): SectorSize {
  const sizes: readonly SectorSize[] = [512, 4096];
  const at = (offset: number): boolean =>
    offset >= 0 &&
    offset + 8 <= disk.size &&
    Buffer.from(disk.read(offset, 8)).toString('latin1') === 'EFI PART';
  const found = sizes.find(at) ?? sizes.find((size) => at((Math.floor(disk.size / size) - 1) * size));
  if (found === undefined) {
    throw new FormatError('not-this-format', 'no GPT: neither the second nor the last block has a header', {
      offset: 512,
    });
  }
  return found;
}

function attempt(read: () => Copy): Copy | FormatError {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
}

function verdict(copy: Copy | FormatError): string {
  return copy instanceof FormatError ? copy.message : 'sound';
}
