/** Reads newc archives, several in a row as initrds have them, with zeros between. */

import type { ByteSource } from '../bytes/index.ts';
import { decodeText, FormatError, sliceSource } from '../bytes/index.ts';
import type { CpioKind } from './entry.ts';
import { headerSize, maxPath, trailer, typeBits } from './entry.ts';

export interface CpioReadEntry {
  /** As stored: may be absolute or climb with `..`; the reader follows no path. */
  readonly path: string;
  readonly kind: CpioKind;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Files of one archive with the same number and `nlink` above 1 are one file; one of them has the data. */
  readonly ino: number;
  readonly nlink: number;
  /** Device numbers, of devices only. */
  readonly major: number;
  readonly minor: number;
  /** Target, of symlinks only. */
  readonly target: string | undefined;
  /** Empty unless it is a file. */
  readonly body: ByteSource;
  /** Which of the archives in a row it is from, from 0. */
  readonly archive: number;
  /** Of its header in the source. Bytes. */
  readonly offset: number;
}

export interface ReadCpioOptions {
  /**
   * Called with the offset of what follows the last archive and is no newc archive, for example a compressed
   * one after the microcode; without it such a tail is an error.
   */
  readonly onTail?: (offset: number) => void;
}

const kinds = new Map<number, CpioKind>(kindsByBits());
const zeroChunk = 65_536;

interface Header {
  readonly withSum: boolean;
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly mtime: number;
  readonly size: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly nameSize: number;
  readonly sum: number;
}

/**
 * Entries in their order, without the end marks. Accepts the forms 070701 and 070702 (with checksum, which
 * is verified).
 *
 * @throws FormatError for anything else, missing end marks and cut archives included, with its offset.
 */
export function* readCpio(
  source: ByteSource,
  options: ReadCpioOptions = {},
): Generator<CpioReadEntry, void, undefined> {
  let at = 0;
  for (let archive = 0; ; archive += 1) {
    at = yield* readArchive(source, at, archive);
    const end = at;
    at = skipZeros(source, at);
    if (at === source.size) return;
    // The kernel looks for the next archive at multiples of 4 bytes only.
    if (!hasMagic(source, at) || (at - end) % 4 !== 0) {
      if (options.onTail === undefined) {
        throw new FormatError('malformed', 'something follows the end of the archive', { offset: at });
      }
      options.onTail(at);
      return;
    }
  }
}

/** @returns the offset after the end mark. */
function* readArchive(
  source: ByteSource,
  start: number,
  archive: number,
): Generator<CpioReadEntry, number, undefined> {
  let at = start;
  for (;;) {
    const offset = at;
    const header = parseHeader(source, offset);
    const nameAt = offset + headerSize;
    const path = decodeName(source.read(nameAt, header.nameSize), nameAt);
    at = align(nameAt + header.nameSize, start);
    const bodyAt = at;
    if (path === trailer) {
      if (header.size !== 0) throw new FormatError('malformed', 'the end mark has a body', { offset });
      return at;
    }
    const body = sliceSource(source, bodyAt, header.size);
    at = align(bodyAt + header.size, start);
    if (header.withSum) verifySum(body, header, offset);
    yield entryOf(header, { path, body, archive, offset });
  }
}

function entryOf(
  header: Header,
  place: {
    readonly path: string;
    readonly body: ByteSource;
    readonly archive: number;
    readonly offset: number;
  },
): CpioReadEntry {
  const { path, body, archive, offset } = place;
  const kind = kinds.get(header.mode & 0o170000);
  if (kind === undefined || header.mode > 0xffff) {
    throw new FormatError('malformed', `${JSON.stringify(path)}: mode 0o${header.mode.toString(8)}`, {
      offset,
    });
  }
  if (kind !== 'file' && kind !== 'symlink' && header.size !== 0) {
    throw new FormatError('malformed', `${JSON.stringify(path)}: a ${kind} with a body`, { offset });
  }
  const isDevice = kind === 'character-device' || kind === 'block-device';
  return {
    path,
    kind,
    mode: header.mode & 0o7777,
    uid: header.uid,
    gid: header.gid,
    mtime: header.mtime,
    ino: header.ino,
    nlink: header.nlink,
    major: isDevice ? header.rdevMajor : 0,
    minor: isDevice ? header.rdevMinor : 0,
    target: kind === 'symlink' ? readTarget(body, offset) : undefined,
    body: kind === 'file' ? body : sliceSource(body, 0, 0),
    archive,
    offset,
  };
}

function readTarget(body: ByteSource, offset: number): string {
  if (body.size === 0 || body.size >= maxPath) {
    throw new FormatError('malformed', `a symlink with a target of ${body.size} bytes`, { offset });
  }
  const bytes = body.read(0, body.size);
  // Some writers count a terminating NUL; inside, it would hide what follows.
  const text = decodeText(bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes);
  if (text.includes('\0')) throw new FormatError('malformed', 'a symlink target with a NUL', { offset });
  return text;
}

function parseHeader(source: ByteSource, offset: number): Header {
  const text = Buffer.from(source.read(offset, headerSize)).toString('latin1');
  const magic = text.slice(0, 6);
  if (magic !== '070701' && magic !== '070702') {
    const old = magic === '070707' || text.startsWith('\xc7\x71') || text.startsWith('\x71\xc7');
    throw new FormatError(
      old ? 'unsupported' : 'not-this-format',
      old ? 'a cpio archive of the old form, not newc' : 'no newc header: 070701 is missing',
      { offset },
    );
  }
  const field = (index: number): number => {
    const digits = text.slice(6 + index * 8, 14 + index * 8);
    if (!/^[0-9a-fA-F]{8}$/.test(digits)) {
      const at = offset + 6 + index * 8;
      throw new FormatError('malformed', `${JSON.stringify(digits)} is not eight hexadecimal digits`, {
        offset: at,
      });
    }
    return Number.parseInt(digits, 16);
  };
  const nameSize = field(11);
  if (nameSize < 2 || nameSize > maxPath) {
    throw new FormatError('malformed', `a name of ${nameSize} bytes`, { offset: offset + 94 });
  }
  return {
    withSum: magic === '070702',
    ino: field(0),
    mode: field(1),
    uid: field(2),
    gid: field(3),
    nlink: field(4),
    mtime: field(5),
    size: field(6),
    rdevMajor: field(9),
    rdevMinor: field(10),
    nameSize,
    sum: field(12),
  };
}

function decodeName(bytes: Uint8Array, offset: number): string {
  if (bytes.indexOf(0) !== bytes.length - 1) {
    throw new FormatError('malformed', 'a name whose NUL is not its last byte', { offset });
  }
  return decodeText(bytes.subarray(0, -1));
}

function verifySum(body: ByteSource, header: Header, offset: number): void {
  if ((header.mode & 0o170000) !== typeBits.file) return;
  let sum = 0;
  for (let at = 0; at < body.size; at += zeroChunk) {
    for (const byte of body.read(at, Math.min(zeroChunk, body.size - at))) sum = (sum + byte) >>> 0;
  }
  if (sum !== header.sum) {
    throw new FormatError('checksum', `the sum of the body is ${sum}, its header says ${header.sum}`, {
      offset,
    });
  }
}

function skipZeros(source: ByteSource, start: number): number {
  let at = start;
  while (at < source.size) {
    const chunk = source.read(at, Math.min(zeroChunk, source.size - at));
    const found = chunk.findIndex((byte) => byte !== 0);
    if (found >= 0) return at + found;
    at += chunk.length;
  }
  return at;
}

function hasMagic(source: ByteSource, at: number): boolean {
  if (source.size - at < 6) return false;
  const magic = Buffer.from(source.read(at, 6)).toString('latin1');
  return magic === '070701' || magic === '070702';
}

/** Padding counts from the start of the archive. */
function align(at: number, start: number): number {
  return start + Math.ceil((at - start) / 4) * 4;
}

function kindsByBits(): (readonly [number, CpioKind])[] {
  const all: readonly CpioKind[] = [
    'file',
    'directory',
    'symlink',
    'character-device',
    'block-device',
    'fifo',
    'socket',
  ];
  return all.map((kind) => [typeBits[kind], kind]);
}
