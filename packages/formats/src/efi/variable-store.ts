/**
 * The variable store of OVMF, `OVMF_VARS*.fd`: a firmware volume (PI 1.8 volume 3 section 3.2.1) that holds
 * a VARIABLE_STORE_HEADER and authenticated variable records (edk2 MdeModulePkg/Include/Guid/VariableFormat.h).
 * Behind the store lie the fault tolerant write areas, which stay as they are.
 */

import { ByteReader, ByteWriter, encodeGuid, FormatError, parseGuid } from '../bytes/index.ts';

export interface StoredVariable {
  readonly name: string;
  /** GUID. */
  readonly vendor: string;
  readonly attributes: number;
  /** EFI_TIME, 16 bytes; zeros for variables without authentication. */
  readonly time: Uint8Array;
  readonly data: Uint8Array;
}

export interface VariableStore {
  /** Live variables in the order of the records. */
  readonly variables: readonly StoredVariable[];
  /** Bytes that records can fill, and that live and dead records fill now. */
  readonly capacity: number;
  readonly used: number;
}

/** gEfiSystemNvDataFvGuid, gEfiAuthenticatedVariableGuid. */
const nvDataVolumeGuid = 'fff12b8d-7696-4c8b-a985-2747075b4f50';
const authenticatedStoreGuid = 'aaf32c78-947b-439a-a180-2e144ec37792';
const volumeHeaderSize = 56;
const storeHeaderSize = 28;
const recordHeaderSize = 60;
const recordStart = 0x55aa;
const erasedStart = 0xffff;
const storeFormatted = 0x5a;
const storeHealthy = 0xfe;
/** Record states are flash bits that only ever go from 1 to 0. */
const stateAdded = 0x3f;
const stateAddedInTransition = 0x3e;
/** Bytes. The biggest flash QEMU takes is 8 MiB; names are a few dozen characters. */
const largestVolume = 64 * 1024 * 1024;
const longestName = 1024;

interface StoreRange {
  /** First byte behind the store's header, and first byte behind the store. */
  readonly start: number;
  readonly end: number;
}

/** @throws FormatError when `fd` does not start with a volume that holds an authenticated variable store. */
export function parseVariableStore(fd: Uint8Array): VariableStore {
  const range = findStore(fd);
  const live = new Map<string, { readonly variable: StoredVariable; readonly state: number }>();
  let at = range.start;
  while (range.end - at >= recordHeaderSize) {
    const record = readRecord(fd, at, range.end);
    if (record === undefined) break;
    const { state, variable, next } = record;
    at = next;
    if (variable === undefined) continue;
    const key = `${variable.vendor} ${variable.name}`;
    const known = live.get(key);
    if (known?.state === stateAdded && state === stateAdded) {
      throw new FormatError('malformed', `variable store: two live records of ${variable.name}`, {
        offset: at,
      });
    }
    // A record in transition counts only while its successor was not finished.
    if (known === undefined || state === stateAdded) live.set(key, { variable, state });
  }
  if (fd.subarray(at, range.end).some((octet) => octet !== 0xff)) {
    throw new FormatError('malformed', 'variable store: bytes behind the last record are not erased', {
      offset: at,
    });
  }
  return {
    variables: [...live.values()].map(({ variable }) => variable),
    capacity: range.end - range.start,
    used: at - range.start,
  };
}

/**
 * A copy of `fd` whose store holds exactly these variables, without dead records.
 * @throws FormatError when `fd` has no store, two variables have one name, or they do not fit.
 */
export function encodeVariableStore(
  fd: Uint8Array,
  variables: readonly StoredVariable[],
): Uint8Array<ArrayBuffer> {
  const range = findStore(fd);
  const writer = new ByteWriter({ capacity: 16 * 1024 });
  const seen = new Set<string>();
  for (const variable of variables) {
    const key = `${variable.vendor} ${variable.name}`;
    if (seen.has(key)) throw new FormatError('not-encodable', `variable store: ${variable.name} twice`);
    seen.add(key);
    writeRecord(writer, variable);
  }
  if (writer.length > range.end - range.start) {
    throw new FormatError(
      'not-encodable',
      `variable store: ${writer.length} bytes of variables, there is room for ${range.end - range.start}`,
    );
  }
  const result = Uint8Array.from(fd);
  result.fill(0xff, range.start, range.end);
  result.set(writer.finish(), range.start);
  return result;
}

/** A copy of `fd` in which these variables replace those of the same name and vendor, or are added. */
export function setVariables(fd: Uint8Array, updates: readonly StoredVariable[]): Uint8Array<ArrayBuffer> {
  const kept = parseVariableStore(fd).variables.filter(
    (each) => !updates.some(({ name, vendor }) => each.name === name && each.vendor === vendor),
  );
  return encodeVariableStore(fd, [...kept, ...updates]);
}

function findStore(fd: Uint8Array): StoreRange {
  if (fd.length > largestVolume) throw new FormatError('too-large', `firmware volume of ${fd.length} bytes`);
  const reader = new ByteReader(fd);
  reader.skip(16, 'firmware volume');
  const volumeGuid = parseGuid(reader.bytes(16, 'firmware volume'));
  const volumeSize = reader.size64('firmware volume size');
  const signature = reader.u32('firmware volume signature');
  if (volumeGuid !== nvDataVolumeGuid || signature !== 0x4856_465f) {
    throw new FormatError('not-this-format', 'variable store: not a firmware volume for variables', {
      offset: 16,
    });
  }
  reader.skip(4, 'attributes');
  const headerSize = reader.u16('header size');
  if (headerSize < volumeHeaderSize || headerSize % 2 !== 0 || volumeSize > fd.length) {
    throw new FormatError('malformed', 'variable store: firmware volume header or size', { offset: 32 });
  }
  reader.seek(0, 'firmware volume');
  const header = new ByteReader(reader.bytes(headerSize, 'firmware volume header'));
  let sum = 0;
  while (header.remaining > 0) sum = (sum + header.u16('firmware volume header')) & 0xffff;
  if (sum !== 0) throw new FormatError('checksum', 'variable store: firmware volume header', { offset: 50 });
  return readStoreHeader(reader, volumeSize);
}

function readStoreHeader(reader: ByteReader, volumeSize: number): StoreRange {
  const { offset } = reader;
  const guid = parseGuid(reader.bytes(16, 'variable store'));
  const size = reader.u32('variable store size');
  const format = reader.u8('variable store format');
  const state = reader.u8('variable store state');
  reader.skip(6, 'variable store');
  if (guid !== authenticatedStoreGuid) {
    throw new FormatError(
      'unsupported',
      `variable store: kind ${guid} does not hold authenticated variables`,
      {
        offset,
      },
    );
  }
  if (format !== storeFormatted || state !== storeHealthy) {
    throw new FormatError('malformed', 'variable store: not formatted and healthy', { offset: offset + 20 });
  }
  if (size < storeHeaderSize || offset + size > volumeSize) {
    throw new FormatError('malformed', `variable store: ${size} bytes do not fit its volume`, {
      offset: offset + 16,
    });
  }
  return { start: offset + storeHeaderSize, end: offset + size };
}

interface StoredRecord {
  readonly state: number;
  /** Undefined when the record is dead. */
  readonly variable: StoredVariable | undefined;
  readonly next: number;
}

/** Undefined where the store is still erased. */
function readRecord(fd: Uint8Array, at: number, end: number): StoredRecord | undefined {
  const reader = new ByteReader(fd.subarray(at, end), { base: at });
  const start = reader.u16('record');
  if (start === erasedStart) return undefined;
  if (start !== recordStart) {
    throw new FormatError('malformed', `variable record starts with 0x${start.toString(16)}`, { offset: at });
  }
  const state = reader.u8('state');
  reader.skip(1, 'reserved');
  const attributes = reader.u32('attributes');
  reader.skip(8, 'monotonic count');
  const time = reader.bytes(16, 'time');
  reader.skip(4, 'public key index');
  const nameSize = reader.u32('name size');
  const dataSize = reader.u32('data size');
  const vendor = parseGuid(reader.bytes(16, 'vendor'));
  const name = reader.bytes(nameSize, 'name');
  const data = reader.bytes(dataSize, 'data');
  const next = Math.min(at + align4(reader.offset - at), end);
  if (state !== stateAdded && state !== stateAddedInTransition) return { state, variable: undefined, next };
  return { state, next, variable: { name: parseName(name, at), vendor, attributes, time, data } };
}

function parseName(bytes: Uint8Array, offset: number): string {
  const text = Buffer.from(bytes).toString('utf16le');
  const end = text.indexOf('\0');
  if (bytes.length % 2 !== 0 || bytes.length > longestName || end < 1 || end !== text.length - 1) {
    throw new FormatError('malformed', 'variable name: not UTF-16 that ends with its only NUL', { offset });
  }
  return text.slice(0, end);
}

function writeRecord(writer: ByteWriter, variable: StoredVariable): void {
  const { name, vendor, attributes, time, data } = variable;
  const nameBytes = Buffer.from(`${name}\0`, 'utf16le');
  if (name === '' || name.includes('\0') || nameBytes.length > longestName || time.length !== 16) {
    throw new FormatError('not-encodable', `variable ${JSON.stringify(name)}: name or time`);
  }
  writer
    .u16(recordStart)
    .u8(stateAdded)
    .u8(0)
    .u32(attributes)
    .u64(0)
    .bytes(time)
    .u32(0)
    .u32(nameBytes.length)
    .u32(data.length)
    .bytes(encodeGuid(vendor))
    .bytes(nameBytes)
    .bytes(data);
  while (writer.length % 4 !== 0) writer.u8(0xff);
}

function align4(size: number): number {
  return size + (-size & 3);
}
