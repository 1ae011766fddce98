/**
 * Puts data into a finished ELF64 program so that the program finds it in its own memory, and takes out what only
 * linkers and debuggers read. System V ABI chapters 4 and 5, elf(5).
 *
 * The data becomes a note in a segment of its own behind everything else. The program header table has no room to grow
 * where linkers put it, but the interpreter's name and the linker's own notes (build ID, ABI tag) follow it: the name
 * moves, the notes go.
 */

import { FormatError } from '@osguard/formats/bytes';

export interface EmbeddedNote {
  /** Without the final NUL. */
  readonly name: string;
  readonly data: Uint8Array;
}

const fileHeaderSize = 64;
const programHeaderSize = 56;
const mostProgramHeaders = 64;
const pageSize = 4096;
const typeLoad = 1;
const typeInterpreter = 3;
const typeNote = 4;
const readable = 4;
const writable = 2;
/** Away from the end of the program's own memory: the heap begins behind the last segment anyway. */
const segmentAlignment = 0x20_0000;

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
}

/**
 * The program with the note, without section headers, symbol table and debugging data. Same input, same bytes.
 *
 * @throws FormatError when the program is not laid out as linkers lay out fixed-address x86-64 programs
 */
export function embedNote(program: Uint8Array, note: EmbeddedNote): Uint8Array {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const segments = readSegments(view);
  const loads = segments.filter(({ type }) => type === typeLoad);
  const first = loads[0];
  const last = loads.at(-1);
  const table = segments.find(({ type }) => type === typeInterpreter);
  if (first === undefined || last === undefined || table === undefined)
    throw refused('a program with loaded segments and an interpreter was expected', 0);
  const end = Math.max(...loads.map(({ offset, fileSize }) => offset + fileSize));
  const top = Math.max(...loads.map(({ address, memorySize }) => address + memorySize));

  // Notes that stay out of the table: what the linker wrote between interpreter and hash table.
  const others = segments.filter(({ type }) => type !== typeNote);
  const room = roomBehindTable(segments);
  const tableSize = (others.length + 2) * programHeaderSize;
  const interpreterAt = fileHeaderSize + tableSize;
  if (interpreterAt + table.fileSize > room)
    throw refused(`${room} bytes are too few for two more program headers`, fileHeaderSize);

  const body = encodeNote(note);
  const offset = roundUp(end, pageSize);
  const address = roundUp(top, segmentAlignment) + (offset % segmentAlignment);
  const own = {
    flags: readable,
    offset,
    address,
    fileSize: body.length,
    memorySize: body.length,
  };
  const moved = {
    ...table,
    offset: interpreterAt - first.offset,
    address: first.address + interpreterAt - first.offset,
  };
  const placed = others.flatMap((segment): readonly Segment[] => {
    if (segment === table) return [moved];
    // The table describes itself.
    if (segment.type === 6) return [{ ...segment, fileSize: tableSize, memorySize: tableSize }];
    // In the order of addresses, as the loader expects.
    if (segment === last) return [segment, { ...own, type: typeLoad, alignment: pageSize }];
    return [segment];
  });
  placed.push({ ...own, type: typeNote, alignment: 4 });

  const result = new Uint8Array(offset + body.length);
  result.set(program.subarray(0, end));
  const interpreter = program.subarray(table.offset, table.offset + table.fileSize);
  result.fill(0, fileHeaderSize, room);
  result.set(interpreter, interpreterAt);
  result.set(body, offset);
  writeHeaders(new DataView(result.buffer), placed);
  return result;
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
function encodeNote({ name, data }: EmbeddedNote): Uint8Array {
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

function refused(message: string, offset: number): FormatError {
  return new FormatError('unsupported', message, { offset });
}
