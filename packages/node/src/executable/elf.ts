/**
 * Puts data into a finished ELF64 program so that the program finds it in its own memory, and takes out what only
 * linkers and debuggers read. System V ABI chapters 4 and 5, elf(5).
 *
 * The data becomes a note in a part of the program's constants that is free. The rest of that part is in the file no more:
 * the segment around it becomes two. The program header table has no room to grow where linkers put it, but the linker's
 * own notes (build ID, ABI tag), which lie behind the interpreter's name, go.
 */

import { FormatError } from '@osguard/formats/bytes';

export interface EmbeddedNote {
  /** Without the final NUL. */
  readonly name: string;
  readonly data: Uint8Array;
  /** Bytes of the program nobody reads, all inside one read-only segment. */
  readonly room: { readonly offset: number; readonly size: number };
}

const fileHeaderSize = 64;
const programHeaderSize = 56;
const mostProgramHeaders = 64;
const pageSize = 4096;
const typeLoad = 1;
const typeInterpreter = 3;
const typeNote = 4;
const typeTable = 6;
const readable = 4;
const writable = 2;

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
}

/** A loaded segment and where its bytes are to lie. */
interface Placed {
  readonly from: Segment;
  readonly to: number;
}

/**
 * The program with the note, without section headers, symbol table and debugging data. Same input, same bytes.
 *
 * @throws FormatError when the program is not laid out as linkers lay out fixed-address x86-64 programs, or the note does
 *   not fit into its room
 */
export function embedNote(program: Uint8Array, note: EmbeddedNote): Uint8Array {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const segments = readSegments(view);
  const interpreter = segments.find(({ type }) => type === typeInterpreter);
  const body = encodeNote(note);
  const loads = place(splitAround(segments, { ...note.room, used: body.length }));
  const first = loads[0];
  const last = loads.at(-1);
  if (first === undefined || last === undefined || interpreter === undefined || first.from.offset !== 0)
    throw refused('a program with loaded segments and an interpreter was expected', 0);

  // Notes that stay out of the table: what the linker wrote between interpreter and hash table.
  const others = segments.filter(({ type }) => type !== typeLoad && type !== typeNote);
  const room = roomBehindTable(segments);
  const tableSize = (others.length + loads.length + 1) * programHeaderSize;
  const interpreterAt = fileHeaderSize + tableSize;
  if (interpreterAt + interpreter.fileSize > room)
    throw refused(`${room} bytes are too few for the program headers`, fileHeaderSize);

  const moved = others.map((segment): Segment => {
    if (segment === interpreter)
      return { ...segment, offset: interpreterAt, address: first.from.address + interpreterAt };
    // The table describes itself.
    if (segment.type === typeTable) return { ...segment, fileSize: tableSize, memorySize: tableSize };
    return { ...segment, offset: movedOffset(segment.offset, loads) };
  });
  const noteAt = movedOffset(note.room.offset, loads);
  const placed: readonly Segment[] = [
    ...moved.filter(({ type }) => type === typeTable || type === typeInterpreter),
    // More than a page, asked for to use huge pages, would be more zeros in the file.
    ...loads.map(({ from, to }) => ({ ...from, offset: to, alignment: pageSize })),
    ...moved.filter(({ type }) => type !== typeTable && type !== typeInterpreter),
    {
      type: typeNote,
      flags: readable,
      offset: noteAt,
      address: addressOf(note.room.offset, loads),
      fileSize: body.length,
      memorySize: body.length,
      alignment: 4,
    },
  ];

  const result = new Uint8Array(last.to + last.from.fileSize);
  for (const { from, to } of loads)
    result.set(program.subarray(from.offset, from.offset + from.fileSize), to);
  const name = program.subarray(interpreter.offset, interpreter.offset + interpreter.fileSize);
  result.fill(0, fileHeaderSize, room);
  result.set(name, interpreterAt);
  result.set(body, noteAt);
  writeHeaders(new DataView(result.buffer), placed);
  return result;
}

/** The loaded segments; of the one around the room, what lies before its used part ends and what lies behind the room. */
function splitAround(
  segments: readonly Segment[],
  { offset, size: length, used }: { readonly offset: number; readonly size: number; readonly used: number },
): readonly Segment[] {
  const loads = segments.filter(({ type }) => type === typeLoad);
  const around = loads.find(
    (each) => offset >= each.offset && offset + length <= each.offset + each.fileSize,
  );
  if (around === undefined || (around.flags & writable) !== 0 || offset % 4 !== 0)
    throw refused('the room for the note is in no read-only segment', offset);
  const kept = offset + used - around.offset;
  const skipped = roundDown(offset + length - around.offset, pageSize);
  if (skipped < roundUp(kept, pageSize)) throw refused(`the note takes ${used} bytes of ${length}`, offset);
  return loads.flatMap((each): readonly Segment[] => {
    if (each !== around) return [each];
    return [
      { ...each, fileSize: kept, memorySize: kept },
      {
        ...each,
        offset: each.offset + skipped,
        address: each.address + skipped,
        fileSize: each.fileSize - skipped,
        memorySize: each.memorySize - skipped,
      },
    ];
  });
}

/** One behind the other, as close as pages allow: offset and address are equal modulo the size of a page. */
function place(loads: readonly Segment[]): readonly Placed[] {
  let end = 0;
  return loads.map((from) => {
    if (from.offset % pageSize !== from.address % pageSize)
      throw refused('a segment that cannot be mapped', from.offset);
    const to = roundUp(end - (from.offset % pageSize), pageSize) + (from.offset % pageSize);
    end = to + from.fileSize;
    return { from, to };
  });
}

function holding(offset: number, loads: readonly Placed[]): Placed | undefined {
  return loads.find(({ from }) => offset >= from.offset && offset <= from.offset + from.fileSize);
}

function movedOffset(offset: number, loads: readonly Placed[]): number {
  const load = holding(offset, loads);
  return load === undefined ? 0 : offset - load.from.offset + load.to;
}

function addressOf(offset: number, loads: readonly Placed[]): number {
  const load = holding(offset, loads);
  return load === undefined ? 0 : offset - load.from.offset + load.from.address;
}

function readSegments(view: DataView): readonly Segment[] {
  // Magic, 64 bits, little-endian, version 1.
  if (view.byteLength < fileHeaderSize || view.getUint32(0) !== 0x7f454c46 || view.getUint16(4) !== 0x0201)
    throw refused('not a 64-bit little-endian ELF file', 0);
  const start = size(view, 32);
  const count = view.getUint16(56, true);
  if (
    start !== fileHeaderSize ||
    view.getUint16(54, true) !== programHeaderSize ||
    count > mostProgramHeaders
  )
    throw refused('the program headers do not follow the file header', 32);
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * programHeaderSize;
    if (at + programHeaderSize > view.byteLength) throw refused('program headers behind the end', at);
    const segment = {
      type: view.getUint32(at, true),
      flags: view.getUint32(at + 4, true),
      offset: size(view, at + 8),
      address: size(view, at + 16),
      fileSize: size(view, at + 32),
      memorySize: size(view, at + 40),
      alignment: size(view, at + 48),
    };
    if (segment.offset + segment.fileSize > view.byteLength) throw refused('a segment behind the end', at);
    if (segment.type === typeLoad && (segment.flags & writable) !== 0 && (segment.flags & 1) !== 0)
      throw refused('a segment that is both writable and executable', at);
    return segment;
  });
}

/** The end of what may be overwritten behind the program headers: interpreter and notes, as far as they touch. */
function roomBehindTable(segments: readonly Segment[]): number {
  let end = fileHeaderSize + segments.length * programHeaderSize;
  const movable = segments
    .filter(({ type }) => type === typeInterpreter || type === typeNote)
    .sort((a, b) => a.offset - b.offset);
  for (const { offset, fileSize } of movable) if (offset - end < 16) end = offset + fileSize;
  return end;
}

/** elf(5), Nhdr: sizes of name (with NUL) and data, type, name, data, each part padded to four bytes. */
function encodeNote({ name, data }: Pick<EmbeddedNote, 'name' | 'data'>): Uint8Array {
  const text = Buffer.from(`${name}\0`, 'latin1');
  const dataAt = 12 + roundUp(text.length, 4);
  const bytes = new Uint8Array(dataAt + roundUp(data.length, 4));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, text.length, true);
  view.setUint32(4, data.length, true);
  bytes.set(text, 12);
  bytes.set(data, dataAt);
  return bytes;
}

function writeHeaders(view: DataView, segments: readonly Segment[]): void {
  const put = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  view.setUint16(56, segments.length, true);
  // No section headers: offset, count and the index of the name table.
  put(40, 0);
  view.setUint16(60, 0, true);
  view.setUint16(62, 0, true);
  for (const [index, segment] of segments.entries()) {
    const at = fileHeaderSize + index * programHeaderSize;
    view.setUint32(at, segment.type, true);
    view.setUint32(at + 4, segment.flags, true);
    put(at + 8, segment.offset);
    put(at + 16, segment.address);
    put(at + 24, segment.address);
    put(at + 32, segment.fileSize);
    put(at + 40, segment.memorySize);
    put(at + 48, segment.alignment);
  }
}

function size(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > 0xffff_ffff_ffffn) throw refused(`${value} is no offset or size`, at);
  return Number(value);
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function roundDown(value: number, unit: number): number {
  return Math.floor(value / unit) * unit;
}

function refused(message: string, offset: number): FormatError {
  return new FormatError('unsupported', message, { offset });
}
