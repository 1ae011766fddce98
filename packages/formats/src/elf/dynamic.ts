/** What the dynamic linker is told: libraries, symbols, relocations of text (System V ABI, chapter 5). */

import { ByteReader, FormatError } from '../bytes/index.ts';
import type { ByteSource } from '../bytes/index.ts';
import type { ElfHeader, Segment } from './header.ts';
import { parseElfHeader, parseSegments, segmentType } from './header.ts';

export interface ElfDynamic {
  readonly needed: readonly string[];
  readonly soname: string | undefined;
  /** Writes to its own text when it is loaded. */
  readonly textRelocations: boolean;
  /** Names of symbols it takes from others. */
  readonly imports: ReadonlySet<string>;
  /** Names of symbols it gives to others. */
  readonly exports: ReadonlySet<string>;
}

const tag = {
  needed: 1,
  hash: 4,
  strtab: 5,
  symtab: 6,
  strsz: 10,
  soname: 14,
  textrel: 22,
  flags: 30,
} as const;
const flagTextrel = 4;
const dynsymSection = 11;

const mostTags = 4096;
const mostSections = 0xffff;
/** V8 in one library has some 200,000. */
const mostSymbols = 2_000_000;
const largestStrings = 256 * 1024 * 1024;

const nothing: ElfDynamic = {
  needed: [],
  soname: undefined,
  textRelocations: false,
  imports: new Set(),
  exports: new Set(),
};

/** Of a file without dynamic section: nothing. @throws FormatError */
export function parseDynamic(
  source: ByteSource,
  { header, segments }: { readonly header: ElfHeader; readonly segments: readonly Segment[] },
): ElfDynamic {
  const segment = segments.find(({ type }) => type === segmentType.dynamic);
  // Separated debug information keeps the headers and none of the content.
  if (segment === undefined || segment.fileSize === 0) return nothing;
  const tags = readTags(source, { header, segment });
  const values = new Map(tags.map(([key, value]) => [key, value]));
  const strings = readStrings(source, { segments, values });
  const symbols = readSymbols(source, { header, segments, values });
  const imports = new Set<string>();
  const exports = new Set<string>();
  for (const { name, defined } of symbols) {
    const text = textAt(strings, name);
    if (text !== '') (defined ? exports : imports).add(text);
  }
  const soname = values.get(tag.soname);
  const flags = values.get(tag.flags) ?? 0;
  return {
    needed: tags.filter(([key]) => key === tag.needed).map(([, value]) => textAt(strings, value)),
    soname: soname === undefined ? undefined : textAt(strings, soname),
    textRelocations: values.has(tag.textrel) || (flags & flagTextrel) !== 0,
    imports,
    exports,
  };
}

/** The libraries alone: DT_NEEDED. @throws FormatError */
export function parseNeeded(source: ByteSource): readonly string[] {
  const header = parseElfHeader(source);
  const segments = parseSegments(source, header);
  const segment = segments.find(({ type }) => type === segmentType.dynamic);
  if (segment === undefined || segment.fileSize === 0) return [];
  const tags = readTags(source, { header, segment });
  const strings = readStrings(source, { segments, values: new Map(tags) });
  return tags.filter(([key]) => key === tag.needed).map(([, value]) => textAt(strings, value));
}

function readTags(
  source: ByteSource,
  { header, segment }: { readonly header: ElfHeader; readonly segment: Segment },
): readonly (readonly [number, number])[] {
  const size = header.bits === 64 ? 16 : 8;
  const count = Math.floor(segment.fileSize / size);
  if (count > mostTags)
    throw new FormatError('too-large', `${count} dynamic tags`, { offset: segment.offset });
  const reader = new ByteReader(source.read(segment.offset, count * size), {
    endian: header.endian,
    base: segment.offset,
  });
  const tags: (readonly [number, number])[] = [];
  for (let index = 0; index < count; index += 1) {
    const key = header.bits === 64 ? Number(reader.u64('tag')) : reader.u32('tag');
    const value = header.bits === 64 ? Number(reader.u64('value')) : reader.u32('value');
    if (key === 0) break;
    tags.push([key, value]);
  }
  return tags;
}

interface Lookup {
  readonly segments: readonly Segment[];
  readonly values: ReadonlyMap<number, number>;
}

function readStrings(source: ByteSource, { segments, values }: Lookup): Uint8Array {
  const address = values.get(tag.strtab);
  const size = values.get(tag.strsz) ?? 0;
  const offset = address === undefined ? undefined : fileOffset(segments, address);
  if (offset === undefined || size === 0) return new Uint8Array();
  if (size > largestStrings)
    throw new FormatError('too-large', `dynamic strings of ${size} bytes`, { offset });
  return Uint8Array.from(source.read(offset, size));
}

interface SymbolName {
  /** Offset in the strings. */
  readonly name: number;
  readonly defined: boolean;
}

function readSymbols(
  source: ByteSource,
  { header, segments, values }: Lookup & { readonly header: ElfHeader },
): readonly SymbolName[] {
  const address = values.get(tag.symtab);
  const offset = address === undefined ? undefined : fileOffset(segments, address);
  if (offset === undefined) return [];
  const size = header.bits === 64 ? 24 : 16;
  const count = sectionSymbols(source, { header, offset, size }) ?? symbolsBefore(values, size);
  if (count > mostSymbols) throw new FormatError('too-large', `${count} dynamic symbols`, { offset });
  const bytes = source.read(offset, count * size);
  const reader = new ByteReader(bytes, { endian: header.endian, base: offset });
  const symbols: SymbolName[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = reader.u32('symbol name');
    // The section index comes behind other members whose order depends on the class.
    reader.skip(header.bits === 64 ? 2 : 10, 'symbol');
    const section = reader.u16('symbol section');
    reader.skip(header.bits === 64 ? 16 : 0, 'symbol');
    symbols.push({ name, defined: section !== 0 });
  }
  return symbols;
}

/** The section headers know how many symbols there are; stripping may have taken them. */
function sectionSymbols(
  source: ByteSource,
  { header, offset, size }: { readonly header: ElfHeader; readonly offset: number; readonly size: number },
): number | undefined {
  const { sectionHeaders: table, bits, endian } = header;
  const entry = bits === 64 ? 64 : 40;
  const end = table.offset + table.count * entry;
  if (table.offset === 0 || table.entrySize !== entry || table.count > mostSections || end > source.size) {
    return undefined;
  }
  const reader = new ByteReader(source.read(table.offset, table.count * entry), {
    endian,
    base: table.offset,
  });
  for (let index = 0; index < table.count; index += 1) {
    reader.seek(index * entry + 4, 'section');
    if (reader.u32('section type') !== dynsymSection) continue;
    reader.seek(index * entry + (bits === 64 ? 24 : 16), 'section');
    const at = bits === 64 ? Number(reader.u64('offset')) : reader.u32('offset');
    const bytes = bits === 64 ? Number(reader.u64('size')) : reader.u32('size');
    if (at === offset && bytes % size === 0 && at + bytes <= source.size) return bytes / size;
  }
  return undefined;
}

/** Linkers put the strings right behind the symbols. */
function symbolsBefore(values: ReadonlyMap<number, number>, size: number): number {
  const distance = (values.get(tag.strtab) ?? 0) - (values.get(tag.symtab) ?? 0);
  return distance > 0 ? Math.floor(distance / size) : 0;
}

function fileOffset(segments: readonly Segment[], address: number): number | undefined {
  const holder = segments.find(
    (each) =>
      each.type === segmentType.load && address >= each.address && address - each.address < each.fileSize,
  );
  return holder === undefined ? undefined : holder.offset + (address - holder.address);
}

/** Longest name that is looked at: C++ symbols are longer, and then their beginning says enough. */
const longestName = 512;

function textAt(strings: Uint8Array, offset: number): string {
  if (offset >= strings.length) return '';
  const window = strings.subarray(offset, offset + longestName);
  const end = window.indexOf(0);
  return Buffer.from(window.buffer, window.byteOffset, end < 0 ? window.length : end).toString('latin1');
}
