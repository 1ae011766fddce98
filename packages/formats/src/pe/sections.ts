/**
 * Appending sections to a finished image, as unified kernel images are made from a stub: new headers in the
 * room behind the section table, new data behind the file. The data is not copied.
 */

import { ByteWriter, FormatError, segmentSource, sliceSource, sourceOf } from '../bytes/index.ts';
import type { ByteSource, Segment } from '../bytes/index.ts';
import { parsePe } from './parse.ts';
import type { PeImage, PeSection } from './parse.ts';

export interface NewPeSection {
  /** 1 to 8 ASCII characters. */
  readonly name: string;
  readonly body: ByteSource;
  /** IMAGE_SCN_CNT_CODE instead of initialised data. */
  readonly code?: boolean;
}

const sectionHeaderSize = 40;
const initializedData = 0x40;
const code = 0x20;
const readable = 0x4000_0000;
/** PE offsets and sizes are 32 bits. */
const largestImage = 0xffff_ffff;

/**
 * The image with these sections behind its own. Section addresses follow each other at the section alignment;
 * the checksum is cleared.
 * @throws FormatError when the image is signed, has no room for the headers, or would pass 4 GiB.
 */
export function appendSections(source: ByteSource, added: readonly NewPeSection[]): ByteSource {
  const image = parsePe(source);
  if (image.certificateTable !== undefined) {
    throw new FormatError(
      'not-encodable',
      'PE image: it is signed, and new sections would break the signature',
      {
        offset: image.certificateTable.offset,
      },
    );
  }
  const placed = place(image, added);
  const last = placed.at(-1);
  if (last === undefined) return source;
  const size = last.section.rawOffset + last.section.rawSize;
  const head = sourceOf(newHeaders(image, placed));
  const segments: Segment[] = [
    { offset: 0, body: head },
    { offset: head.size, body: sliceSource(source, head.size, source.size - head.size) },
    ...placed.map(({ section, body }) => ({ offset: section.rawOffset, body })),
  ];
  return segmentSource(segments, size);
}

interface PlacedSection {
  readonly section: PeSection;
  readonly body: ByteSource;
}

function place(image: PeImage, added: readonly NewPeSection[]): readonly PlacedSection[] {
  let rawOffset = roundUp(image.source.size, image.fileAlignment);
  let virtualAddress = image.sections.reduce(
    (top, each) => Math.max(top, roundUp(each.virtualAddress + each.virtualSize, image.sectionAlignment)),
    0,
  );
  return added.map(({ name, body, code: isCode }) => {
    if (!/^[\x21-\x7e]{1,8}$/.test(name)) {
      throw new FormatError('not-encodable', `section name ${JSON.stringify(name)}: 1 to 8 ASCII characters`);
    }
    if (body.size === 0) throw new FormatError('not-encodable', `section ${name} is empty`);
    const section: PeSection = {
      name,
      virtualSize: body.size,
      virtualAddress,
      rawSize: roundUp(body.size, image.fileAlignment),
      rawOffset,
      characteristics: readable + (isCode === true ? code : initializedData),
    };
    rawOffset += section.rawSize;
    virtualAddress = roundUp(virtualAddress + body.size, image.sectionAlignment);
    if (rawOffset > largestImage || virtualAddress > largestImage) {
      throw new FormatError('not-encodable', `section ${name}: the image would pass 4 GiB`);
    }
    return { section, body };
  });
}

/** The file up to its first section's data, with the new section headers. */
function newHeaders(image: PeImage, placed: readonly PlacedSection[]): Uint8Array<ArrayBuffer> {
  const { at, source, sections } = image;
  const dataStart = sections.reduce(
    (least, { rawSize, rawOffset }) => (rawSize === 0 ? least : Math.min(least, rawOffset)),
    source.size,
  );
  // Old stubs leave SizeOfHeaders unaligned; the room up to the first section's data is headers in any case.
  const sizeOfHeaders = Math.min(roundUp(image.sizeOfHeaders, image.fileAlignment), dataStart);
  const tableEnd = at.sectionTable + sections.length * sectionHeaderSize;
  const needed = tableEnd + placed.length * sectionHeaderSize;
  if (needed > sizeOfHeaders) {
    throw new FormatError(
      'not-encodable',
      `PE image: ${placed.length} section headers need ${needed} bytes, there are ${sizeOfHeaders}`,
      { offset: tableEnd },
    );
  }
  const head = Uint8Array.from(source.read(0, sizeOfHeaders));
  if (head.subarray(tableEnd, needed).some((octet) => octet !== 0)) {
    throw new FormatError('not-encodable', 'PE image: the room behind its section table is in use', {
      offset: tableEnd,
    });
  }
  head.set(encodeSections(placed), tableEnd);
  const view = new DataView(head.buffer);
  const top = placed.reduce(
    (sum, { section }) => Math.max(sum, section.virtualAddress + section.virtualSize),
    0,
  );
  const data = placed.reduce((sum, { section }) => sum + section.virtualSize, image.sizeOfInitializedData);
  view.setUint16(at.numberOfSections, sections.length + placed.length, true);
  view.setUint32(at.sizeOfInitializedData, Math.min(data, largestImage), true);
  view.setUint32(at.sizeOfImage, roundUp(top, image.sectionAlignment), true);
  view.setUint32(at.sizeOfHeaders, sizeOfHeaders, true);
  view.setUint32(at.checksum, 0, true);
  return head;
}

function encodeSections(placed: readonly PlacedSection[]): Uint8Array {
  const writer = new ByteWriter();
  for (const { section } of placed) {
    const name = Buffer.from(section.name, 'ascii');
    writer
      .bytes(name)
      .zeros(8 - name.length)
      .u32(section.virtualSize)
      .u32(section.virtualAddress)
      .u32(section.rawSize)
      .u32(section.rawOffset)
      .zeros(12)
      .u32(section.characteristics);
  }
  return writer.finish();
}

export function roundUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
