/**
 * PE/COFF images ("Microsoft Portable Executable and Common Object File Format Specification", sections 2 to 4)
 * as far as UEFI applications need it: headers, sections, the certificate table. Only headers are read.
 */

import { ByteReader, FormatError } from '../bytes/index.ts';
import type { ByteSource } from '../bytes/index.ts';

export interface PeSection {
  readonly name: string;
  /** Bytes. */
  readonly virtualSize: number;
  readonly virtualAddress: number;
  /** Bytes in the file, a multiple of the file alignment in well-made images. */
  readonly rawSize: number;
  readonly rawOffset: number;
  readonly characteristics: number;
}

export interface PeImage {
  readonly source: ByteSource;
  /** 0x8664 x86-64, 0xaa64 AArch64, 0x14c i386. */
  readonly machine: number;
  /** 32 or 64: PE32 or PE32+. */
  readonly bits: 32 | 64;
  /** Offsets in the file of header fields that signing and section writing change. */
  readonly at: PeFieldOffsets;
  readonly sizeOfHeaders: number;
  readonly sizeOfImage: number;
  readonly sizeOfInitializedData: number;
  readonly sectionAlignment: number;
  readonly fileAlignment: number;
  readonly sections: readonly PeSection[];
  /** Undefined when the image is not signed. */
  readonly certificateTable: { readonly offset: number; readonly size: number } | undefined;
}

export interface PeFieldOffsets {
  readonly numberOfSections: number;
  readonly sizeOfInitializedData: number;
  readonly sizeOfImage: number;
  readonly sizeOfHeaders: number;
  readonly checksum: number;
  /** Of the 8-byte directory entry; undefined when the header has fewer than five entries. */
  readonly certificateDirectory: number | undefined;
  readonly sectionTable: number;
}

/** Bytes of header that are looked at: e_lfanew beyond this, or more sections than fit, is no boot image. */
const largestHeader = 64 * 1024;
const mostSections = 256;
const sectionHeaderSize = 40;
const certificateDirectoryIndex = 4;

/** @throws FormatError unless `source` starts with the headers of a PE image whose parts lie inside it. */
export function parsePe(source: ByteSource): PeImage {
  const head = Uint8Array.from(source.read(0, Math.min(source.size, largestHeader)));
  const reader = new ByteReader(head);
  if (reader.u16('DOS magic') !== 0x5a4d) {
    throw new FormatError('not-this-format', 'PE image: does not start with MZ', { offset: 0 });
  }
  reader.seek(0x3c, 'PE header offset');
  const start = reader.u32('PE header offset');
  reader.seek(start, 'PE header');
  if (reader.u32('PE signature') !== 0x4550) {
    throw new FormatError('not-this-format', 'PE image: no PE signature', { offset: start });
  }
  const machine = reader.u16('machine');
  const numberOfSections = reader.u16('number of sections');
  if (numberOfSections > mostSections) {
    throw new FormatError('too-large', `PE image: ${numberOfSections} sections`, { offset: start + 6 });
  }
  reader.skip(12, 'time, symbol table');
  const optionalSize = reader.u16('size of optional header');
  reader.skip(2, 'characteristics');
  const optionalStart = start + 24;
  const optional = readOptionalHeader(reader, { start: optionalStart, size: optionalSize });
  const sectionTable = optionalStart + optionalSize;
  reader.seek(sectionTable, 'section table');
  const sections = Array.from({ length: numberOfSections }, () => readSection(reader, source.size));
  const { certificates, ...sizes } = optional;
  const at = { ...optional.at, numberOfSections: start + 6, sectionTable };
  const image = { source, machine, ...sizes, at, sections };
  if (image.sizeOfHeaders < sectionTable + numberOfSections * sectionHeaderSize) {
    throw new FormatError('malformed', 'PE image: headers end before the section table does', {
      offset: at.sizeOfHeaders,
    });
  }
  if (image.sizeOfHeaders > source.size) {
    throw new FormatError('truncated', 'PE image: headers reach beyond the file', {
      offset: at.sizeOfHeaders,
    });
  }
  return { ...image, certificateTable: checkCertificates(certificates, image) };
}

type OptionalHeader = Omit<PeImage, 'source' | 'machine' | 'sections' | 'certificateTable' | 'at'> & {
  readonly at: Omit<PeFieldOffsets, 'numberOfSections' | 'sectionTable'>;
  readonly certificates: { readonly offset: number; readonly size: number } | undefined;
};

function readOptionalHeader(
  reader: ByteReader,
  { start, size }: { readonly start: number; readonly size: number },
): OptionalHeader {
  const magic = reader.u16('optional header magic');
  if (magic !== 0x10b && magic !== 0x20b) {
    throw new FormatError('not-this-format', `PE image: optional header magic 0x${magic.toString(16)}`, {
      offset: start,
    });
  }
  const bits = magic === 0x20b ? 64 : 32;
  const at32 = (position: number, what: string): number => {
    reader.seek(position, what);
    return reader.u32(what);
  };
  const sectionAlignment = at32(start + 32, 'section alignment');
  const fileAlignment = at32(start + 36, 'file alignment');
  for (const alignment of [sectionAlignment, fileAlignment]) {
    if (alignment === 0 || (alignment & (alignment - 1)) !== 0 || alignment > 0x1_0000) {
      throw new FormatError('malformed', `PE image: alignment ${alignment}`, { offset: start + 32 });
    }
  }
  const directories = start + (bits === 64 ? 112 : 96);
  const count = at32(directories - 4, 'number of data directories');
  const entry = directories + certificateDirectoryIndex * 8;
  const hasEntry = count > certificateDirectoryIndex && entry + 8 <= start + size;
  return {
    bits,
    sectionAlignment,
    fileAlignment,
    sizeOfInitializedData: at32(start + 8, 'size of initialized data'),
    sizeOfImage: at32(start + 56, 'size of image'),
    sizeOfHeaders: at32(start + 60, 'size of headers'),
    at: {
      sizeOfInitializedData: start + 8,
      sizeOfImage: start + 56,
      sizeOfHeaders: start + 60,
      checksum: start + 64,
      certificateDirectory: hasEntry ? entry : undefined,
    },
    certificates: hasEntry
      ? { offset: at32(entry, 'certificate table'), size: at32(entry + 4, 'certificate table') }
      : undefined,
  };
}

function readSection(reader: ByteReader, fileSize: number): PeSection {
  const { offset } = reader;
  const nameBytes = reader.bytes(8, 'section name');
  const end = nameBytes.indexOf(0);
  const name = Buffer.from(end === -1 ? nameBytes : nameBytes.subarray(0, end)).toString('latin1');
  const virtualSize = reader.u32('virtual size');
  const virtualAddress = reader.u32('virtual address');
  const rawSize = reader.u32('raw size');
  const rawOffset = reader.u32('raw offset');
  reader.skip(12, 'relocations, line numbers');
  const characteristics = reader.u32('characteristics');
  if (rawSize > 0 && rawOffset + rawSize > fileSize) {
    throw new FormatError('truncated', `PE image: section ${JSON.stringify(name)} reaches beyond the file`, {
      offset,
    });
  }
  return { name, virtualSize, virtualAddress, rawSize, rawOffset, characteristics };
}

/**
 * The table must be the end of the file: what lies behind it would be hashed by nobody or, by the arithmetic of
 * the Authenticode specification, instead of other bytes.
 */
function checkCertificates(
  table: { readonly offset: number; readonly size: number } | undefined,
  image: Pick<PeImage, 'source' | 'sizeOfHeaders' | 'sections'>,
): PeImage['certificateTable'] {
  if (table === undefined || (table.offset === 0 && table.size === 0)) return undefined;
  const { offset, size } = table;
  const lastByte = Math.max(image.sizeOfHeaders, ...image.sections.map((each) => rawEnd(each)));
  if (offset % 8 !== 0 || offset < lastByte || offset + size !== image.source.size) {
    throw new FormatError(
      'malformed',
      `PE image: certificate table of ${size} bytes at ${offset} is not the aligned end of ${image.source.size} bytes`,
      { offset },
    );
  }
  return table;
}

function rawEnd({ rawSize, rawOffset }: PeSection): number {
  return rawSize === 0 ? 0 : rawOffset + rawSize;
}
