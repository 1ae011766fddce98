/**
 * The dynamic section of an ELF64 little-endian file, as far as a library closure needs it: DT_NEEDED, DT_RUNPATH,
 * DT_RPATH and the interpreter. System V ABI, chapter 5; section headers are not looked at, the loader does not either.
 */

import { ByteReader, FormatError } from '@osguard/formats/bytes';

export interface ElfDynamic {
  readonly needed: readonly string[];
  readonly runpath: readonly string[];
  readonly interpreter: string | undefined;
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;
const PROGRAM_HEADER_SIZE = 56;
const MAX_PROGRAM_HEADERS = 128;
const MAX_DYNAMIC = 4096;
const MAX_STRING = 4096;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
}

export function isElf(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 64 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46
  );
}

function readSegments(bytes: Uint8Array): Segment[] {
  const header = new ByteReader(bytes);
  header.skip(4, 'ELF magic');
  if (header.u8('ELF class') !== 2 || header.u8('ELF data encoding') !== 1) {
    throw new FormatError('unsupported', 'only 64-bit little-endian ELF files are read', { offset: 4 });
  }
  header.seek(32, 'program header offset');
  const start = header.size64('program header offset');
  header.seek(54, 'program header size');
  const entrySize = header.u16('program header size');
  const count = header.u16('program header count');
  if (count > MAX_PROGRAM_HEADERS || (count > 0 && entrySize !== PROGRAM_HEADER_SIZE)) {
    throw new FormatError('malformed', `${count} program headers of ${entrySize} bytes`, { offset: 54 });
  }
  const segments: Segment[] = [];
  for (let index = 0; index < count; index += 1) {
    header.seek(start + index * PROGRAM_HEADER_SIZE, 'program header');
    const type = header.u32('segment type');
    header.skip(4, 'segment flags');
    const offset = header.size64('segment offset');
    const address = header.size64('segment address');
    header.skip(8, 'physical address');
    segments.push({ type, offset, address, fileSize: header.size64('segment size') });
  }
  return segments;
}

function readString(bytes: Uint8Array, start: number): string {
  const reader = new ByteReader(bytes);
  reader.seek(start, 'string');
  const end = bytes.indexOf(0, start);
  if (end < 0 || end - start > MAX_STRING) {
    throw new FormatError('malformed', 'string without end', { offset: start });
  }
  return new TextDecoder().decode(bytes.subarray(start, end));
}

/** Reads what the dynamic loader would be told; a static file has nothing needed and no interpreter. */
export function readElfDynamic(bytes: Uint8Array): ElfDynamic {
  if (!isElf(bytes)) throw new FormatError('not-this-format', 'not an ELF file', { offset: 0 });
  const segments = readSegments(bytes);
  const interp = segments.find((segment) => segment.type === PT_INTERP);
  const interpreter = interp === undefined ? undefined : readString(bytes, interp.offset);
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  if (dynamic === undefined) return { needed: [], runpath: [], interpreter };

  const fileOffset = (address: number): number => {
    const holder = segments.find(
      (segment) =>
        segment.type === PT_LOAD &&
        address >= segment.address &&
        address < segment.address + segment.fileSize,
    );
    if (holder === undefined) {
      throw new FormatError('malformed', `address ${address} is in no segment`, { offset: dynamic.offset });
    }
    return holder.offset + address - holder.address;
  };

  const reader = new ByteReader(bytes);
  reader.seek(dynamic.offset, 'dynamic section');
  const entries: { readonly tag: bigint; readonly value: number }[] = [];
  for (let count = 0; count < Math.min(dynamic.fileSize / 16, MAX_DYNAMIC); count += 1) {
    const tag = reader.u64('dynamic tag');
    if (tag === DT_NULL) break;
    const value = reader.u64('dynamic value');
    entries.push({ tag, value: Number(value & 0x1f_ffff_ffff_ffffn) });
  }
  const table = entries.find((entry) => entry.tag === DT_STRTAB);
  if (table === undefined) return { needed: [], runpath: [], interpreter };
  const strings = fileOffset(table.value);
  const texts = (...tags: readonly bigint[]): string[] =>
    entries
      .filter((entry) => tags.includes(entry.tag))
      .map((entry) => readString(bytes, strings + entry.value));
  return {
    needed: texts(DT_NEEDED),
    runpath: texts(DT_RPATH, DT_RUNPATH).flatMap((list) => list.split(':')),
    interpreter,
  };
}
