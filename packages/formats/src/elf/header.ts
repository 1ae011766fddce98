/** The ELF header and the program headers (System V ABI, chapters 4 and 5; elf(5)). */

import { ByteReader, FormatError } from '../bytes/index.ts';
import type { ByteSource } from '../bytes/index.ts';

export type ElfKind = 'relocatable' | 'executable' | 'shared' | 'core' | 'other';

export interface ElfHeader {
  readonly bits: 32 | 64;
  readonly endian: 'little' | 'big';
  readonly kind: ElfKind;
  /** e_machine, for example 62 for x86-64. */
  readonly machine: number;
  readonly programHeaders: Table;
  readonly sectionHeaders: Table;
}

export interface Table {
  /** Bytes. */
  readonly offset: number;
  readonly entrySize: number;
  readonly count: number;
}

export interface Segment {
  readonly type: number;
  readonly flags: number;
  /** In the file. Bytes. */
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
}

export const segmentType = {
  load: 1,
  dynamic: 2,
  interpreter: 3,
  gnuStack: 0x6474_e551,
} as const;

export const segmentFlag = { execute: 1, write: 2, read: 4 } as const;

const kinds: readonly ElfKind[] = ['other', 'relocatable', 'executable', 'shared', 'core'];
const mostSegments = 512;

export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** @throws FormatError */
export function parseElfHeader(source: ByteSource): ElfHeader {
  const identity = source.read(0, 16);
  if (!isElf(identity)) throw new FormatError('not-this-format', 'no ELF file', { offset: 0 });
  const [, , , , fileClass, data, version] = identity;
  if ((fileClass !== 1 && fileClass !== 2) || (data !== 1 && data !== 2) || version !== 1) {
    throw new FormatError('unsupported', 'ELF of an unknown class, byte order or version', { offset: 4 });
  }
  const bits = fileClass === 2 ? 64 : 32;
  const endian = data === 1 ? 'little' : 'big';
  const reader = new ByteReader(source.read(16, bits === 64 ? 48 : 36), { endian, base: 16 });
  const kind = kinds[reader.u16('type')] ?? 'other';
  const machine = reader.u16('machine');
  reader.u32('version');
  const word = (what: string): number => (bits === 64 ? reader.size64(what) : reader.u32(what));
  word('entry point');
  const programOffset = word('program headers');
  const sectionOffset = word('section headers');
  reader.u32('flags');
  reader.u16('header size');
  const programHeaders = {
    offset: programOffset,
    entrySize: reader.u16('entry size'),
    count: reader.u16('count'),
  };
  const sectionHeaders = {
    offset: sectionOffset,
    entrySize: reader.u16('entry size'),
    count: reader.u16('count'),
  };
  return { bits, endian, kind, machine, programHeaders, sectionHeaders };
}

/** @throws FormatError */
export function parseSegments(
  source: ByteSource,
  { bits, endian, programHeaders }: ElfHeader,
): readonly Segment[] {
  const { offset, entrySize, count } = programHeaders;
  if (count === 0) return [];
  if (entrySize !== (bits === 64 ? 56 : 32)) {
    throw new FormatError('malformed', `program headers of ${entrySize} bytes`, { offset });
  }
  if (count > mostSegments) throw new FormatError('too-large', `${count} program headers`, { offset });
  const reader = new ByteReader(source.read(offset, count * entrySize), { endian, base: offset });
  const segments: Segment[] = [];
  for (let index = 0; index < count; index += 1) {
    const type = reader.u32('segment type');
    if (bits === 64) {
      const flags = reader.u32('flags');
      const at = reader.size64('offset');
      const address = addressOf(reader);
      reader.u64('physical address');
      const fileSize = reader.size64('size in file');
      reader.u64('size in memory');
      reader.u64('alignment');
      segments.push({ type, flags, offset: at, address, fileSize });
    } else {
      const at = reader.u32('offset');
      const address = reader.u32('address');
      reader.u32('physical address');
      const fileSize = reader.u32('size in file');
      reader.u32('size in memory');
      const flags = reader.u32('flags');
      reader.u32('alignment');
      segments.push({ type, flags, offset: at, address, fileSize });
    }
  }
  return segments;
}

/** Kernel images have addresses above 2^53; nothing here looks anything up there. */
function addressOf(reader: ByteReader): number {
  return Number(reader.u64('address'));
}
