/** Entries of a stored folder: short entries, each with the long name that may come before it. */

import { ByteReader, FormatError } from '../bytes/index.ts';
import { decodeShortName, longNameProblem, shortNameChecksum, unitsPerEntry } from './names.ts';
import { decodeFatTime } from './time.ts';
import { attribute, entrySize, longNameAttribute } from './tree.ts';

export interface DirectoryEntry {
  readonly name: string;
  /** The 8.3 name; equal to `name` when there is no long one. */
  readonly shortName: string;
  readonly attributes: number;
  readonly cluster: number;
  /** Bytes; 0 for folders. */
  readonly size: number;
  /** Seconds since 1970, taking the stored local time for UTC. */
  readonly mtime: number;
}

export interface ParsedDirectory {
  /** Without the dot entries and the volume label. */
  readonly entries: readonly DirectoryEntry[];
  /** Of the volume, when this folder holds one. */
  readonly label: string | undefined;
  /** Long name pieces that belong to no entry; drivers skip them. */
  readonly orphans: number;
}

const deleted = 0xe5;

interface PendingName {
  /** Pieces still to come. */
  readonly left: number;
  readonly checksum: number;
  readonly text: string;
}

/** @param base added to reported offsets. @throws FormatError for names that readers would take differently. */
export function parseDirectory(
  bytes: Uint8Array,
  { base, root }: { base: number; root: boolean },
): ParsedDirectory {
  const entries: DirectoryEntry[] = [];
  let label: string | undefined;
  let pending: PendingName | undefined;
  let orphans = 0;
  for (let at = 0; at + entrySize <= bytes.length; at += entrySize) {
    const raw = bytes.subarray(at, at + entrySize);
    const first = raw[0] ?? 0;
    if (first === 0) break;
    const attributes = raw[11] ?? 0;
    if (first !== deleted && (attributes & 0x3f) === longNameAttribute) {
      const next = continueLongName(raw, pending);
      if (next === undefined || (pending !== undefined && (first & 0x40) !== 0)) orphans += 1;
      pending = next;
      continue;
    }
    const long = pending;
    pending = undefined;
    if (first === deleted) {
      if (long !== undefined) orphans += 1;
      continue;
    }
    if ((attributes & attribute.volumeId) !== 0) {
      label ??= Buffer.from(raw.subarray(0, 11)).toString('latin1').trimEnd();
      continue;
    }
    // The two dot entries head every folder but the root; what they point to is not trusted.
    if (!root && at < 2 * entrySize && isDotEntry(raw, at / entrySize + 1)) continue;
    const matches = long?.left === 0 && long.checksum === shortNameChecksum(raw);
    if (long !== undefined && !matches) orphans += 1;
    entries.push(parseEntry(raw, { long: matches ? long.text : undefined, offset: base + at }));
  }
  return { entries, label, orphans: pending === undefined ? orphans : orphans + 1 };
}

function parseEntry(
  raw: Uint8Array,
  { long, offset }: { readonly long: string | undefined; readonly offset: number },
): DirectoryEntry {
  const reader = new ByteReader(raw, { base: offset });
  const packed = reader.bytes(11, 'short name');
  const attributes = reader.u8('attributes');
  const shortName = decodeShortName(packed, reader.u8('case flags'), offset);
  reader.skip(7, 'creation and access time');
  const high = reader.u16('first cluster, high');
  const time = reader.u16('write time');
  const date = reader.u16('write date');
  const low = reader.u16('first cluster, low');
  const size = reader.u32('size');
  const name = long ?? shortName;
  const problem = longNameProblem(name);
  if (problem !== undefined) {
    throw new FormatError('malformed', `name ${JSON.stringify(name)} ${problem}`, { offset });
  }
  return {
    name,
    shortName,
    attributes,
    cluster: high * 0x1_0000 + low,
    size,
    mtime: decodeFatTime(date, time),
  };
}

/** The name with the piece of `raw` put before it, or undefined when the piece does not continue it. */
function continueLongName(raw: Uint8Array, pending: PendingName | undefined): PendingName | undefined {
  const ordinal = (raw[0] ?? 0) & 0x3f;
  const checksum = raw[13] ?? 0;
  const isLast = ((raw[0] ?? 0) & 0x40) !== 0;
  const known = isLast ? { left: ordinal, checksum, text: '' } : pending;
  // 20 pieces hold the 255 units of the longest name.
  if (
    known === undefined ||
    ordinal < 1 ||
    ordinal > 20 ||
    ordinal !== known.left ||
    checksum !== known.checksum
  ) {
    return undefined;
  }
  let piece = '';
  for (let i = 0; i < unitsPerEntry; i += 1) {
    const at = i < 5 ? 1 + i * 2 : i < 11 ? 14 + (i - 5) * 2 : 28 + (i - 11) * 2;
    const unit = (raw[at] ?? 0) | ((raw[at + 1] ?? 0) << 8);
    if (unit === 0) break;
    piece += String.fromCharCode(unit);
  }
  return { left: ordinal - 1, checksum, text: piece + known.text };
}

function isDotEntry(raw: Uint8Array, dots: number): boolean {
  return Buffer.from(raw.subarray(0, 11)).toString('latin1') === '.'.repeat(dots).padEnd(11);
}
