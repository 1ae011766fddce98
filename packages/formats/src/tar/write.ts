/**
 * Writes archives: ustar headers, and a pax header before an entry for whatever ustar cannot say. The same
 * entries give the same bytes.
 */

import type { ByteSource } from '../bytes/index.ts';
import { FormatError, sourceOf } from '../bytes/index.ts';
import type { TarEntry, TarTime } from './entry.ts';
import { blockSize, flagOfKind } from './entry.ts';
import { headerSum } from './header.ts';
import { encodePax } from './pax.ts';

/** Names of owners, link target, device numbers and attributes may be left out: '' , 0 and none. */
export type TarHeaderEntry = Pick<TarEntry, 'path' | 'kind' | 'mode' | 'uid' | 'gid' | 'mtime'> &
  Partial<Pick<TarEntry, 'size' | 'uname' | 'gname' | 'linkPath' | 'major' | 'minor' | 'xattrs'>>;

export type TarWriteEntry = Omit<TarHeaderEntry, 'size'> & {
  /** Of files; absent means empty. */
  readonly body?: ByteSource;
};

const nothing = sourceOf(new Uint8Array());
const readChunk = 1024 * 1024;
const maxOctal7 = 0o7777777;
const maxOctal11 = 0o77777777777;

/**
 * Chunks of the archive, end mark included. A chunk may be a view into a body and is valid until the next
 * one is asked for.
 *
 * @throws FormatError (`not-encodable`) for names with a NUL, a body that is not a file's, or values no
 *   header can hold.
 */
export function* writeTar(entries: Iterable<TarWriteEntry>): Generator<Uint8Array, void, undefined> {
  for (const { body = nothing, ...entry } of entries) {
    const { size } = body;
    yield encodeTarHeader({ ...entry, size });
    for (let at = 0; at < size; at += readChunk) {
      yield body.read(at, Math.min(readChunk, size - at));
    }
    const padding = tarPadding(size);
    if (padding.length > 0) yield padding;
  }
  yield new Uint8Array(2 * blockSize);
}

/** Zeros that follow a body of `size` bytes. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((blockSize - (size % blockSize)) % blockSize);
}

/** All header blocks of one entry, for writers that bring the body themselves. A multiple of 512 bytes. */
export function encodeTarHeader(entry: TarHeaderEntry): Uint8Array {
  assertEncodable(entry);
  const { mtime, uid, gid, size = 0, uname = '', gname = '', linkPath = '', xattrs = new Map() } = entry;
  const path = entry.kind === 'directory' ? `${entry.path}/` : entry.path;
  const pax = new Map<string, string | Uint8Array>();
  // POSIX wants UTF-8 in pax headers unless the first record says that texts are bytes.
  const texts = [path, linkPath, uname, gname];
  if (!texts.every((text) => text.isWellFormed())) pax.set('hdrcharset', 'BINARY');
  const place = splitPath(path);
  if (place === undefined) pax.set('path', path);
  if (!fits(linkPath, 100)) pax.set('linkpath', linkPath);
  if (size > maxOctal11) pax.set('size', String(size));
  if (uid > maxOctal7) pax.set('uid', String(uid));
  if (gid > maxOctal7) pax.set('gid', String(gid));
  if (!fits(uname, 31)) pax.set('uname', uname);
  if (!fits(gname, 31)) pax.set('gname', gname);
  const plainTime = mtime.nanoseconds === 0 && mtime.seconds >= 0 && mtime.seconds <= maxOctal11;
  if (!plainTime) pax.set('mtime', timeText(mtime));
  for (const [name, value] of [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1)))
    pax.set(`SCHILY.xattr.${name}`, value);
  // What the pax header says is left zero or cut here: readers that know pax do not look at it.
  const block = encodeBlock({
    name: place?.name ?? standIn(path, 100),
    prefix: place?.prefix ?? '',
    mode: entry.mode,
    uid: uid > maxOctal7 ? 0 : uid,
    gid: gid > maxOctal7 ? 0 : gid,
    size: size > maxOctal11 ? 0 : size,
    mtime: plainTime ? mtime.seconds : Math.min(Math.max(mtime.seconds, 0), maxOctal11),
    flag: flagOfKind[entry.kind],
    linkName: standIn(linkPath, 100),
    uname: standIn(uname, 31),
    gname: standIn(gname, 31),
    major: entry.major ?? 0,
    minor: entry.minor ?? 0,
  });
  if (pax.size === 0) return block;
  const records = encodePax(pax);
  const extension = encodeBlock({
    ...emptyBlock,
    name: standIn(`PaxHeaders/${entry.path.split('/').at(-1) ?? ''}`, 100),
    size: records.length,
    flag: 'x',
  });
  return Buffer.concat([extension, records, tarPadding(records.length), block]);
}

function assertEncodable(entry: TarHeaderEntry): void {
  const refuse = (why: string): FormatError =>
    new FormatError('not-encodable', `${JSON.stringify(entry.path)}: ${why}`);
  const { path, kind, size = 0, linkPath = '', major = 0, minor = 0, mode, uid, gid, mtime } = entry;
  if (path === '' || path.endsWith('/')) throw refuse('an empty name or one that ends in a slash');
  const texts = [path, linkPath, entry.uname ?? '', entry.gname ?? '', ...(entry.xattrs?.keys() ?? [])];
  if (texts.some((text) => text.includes('\0'))) throw refuse('a NUL');
  for (const name of entry.xattrs?.keys() ?? []) {
    if (name === '' || name.includes('=')) throw refuse(`attribute ${JSON.stringify(name)}`);
  }
  if (size !== 0 && kind !== 'file') throw refuse(`a ${kind} with a body`);
  if ((kind === 'symlink' || kind === 'hardlink') !== (linkPath !== '')) {
    throw refuse(`a ${kind} ${linkPath === '' ? 'without' : 'with'} a link target`);
  }
  if (mode > 0o7777) throw refuse(`mode ${mode}: permission bits only`);
  for (const value of [mode, size, uid, gid, major, minor]) {
    if (!Number.isSafeInteger(value) || value < 0) throw refuse(`${value}`);
  }
  if (major > maxOctal7 || minor > maxOctal7) throw refuse(`device ${major}:${minor}`);
  const { seconds, nanoseconds } = mtime;
  // 15 digits, as many as our own reader takes, are 31 million years.
  const inTime = Number.isSafeInteger(seconds) && Math.abs(seconds) < 1e15;
  if (!inTime || !Number.isInteger(nanoseconds) || nanoseconds < 0 || nanoseconds > 999_999_999) {
    throw refuse(`mtime ${seconds} s ${nanoseconds} ns`);
  }
}

/** Name and prefix when the path fits them, cut at a slash; only ASCII, other names go into the pax header. */
function splitPath(path: string): { readonly name: string; readonly prefix: string } | undefined {
  if (fits(path, 100)) return { name: path, prefix: '' };
  if (!fits(path, 256)) return undefined;
  const slash = path.slice(0, 156).lastIndexOf('/', path.length - 2);
  if (slash < 1 || path.length - slash - 1 > 100) return undefined;
  return { name: path.slice(slash + 1), prefix: path.slice(0, slash) };
}

function fits(text: string, length: number): boolean {
  // eslint-disable-next-line no-control-regex
  return text.length <= length && /^[\u0001-\u007f]*$/.test(text);
}

/** What stands in the header block for a text that the pax header has in full. */
function standIn(text: string, length: number): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[^\u0001-\u007f]/gu, '_').slice(0, length);
}

function timeText({ seconds, nanoseconds }: TarTime): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, parts] = seconds < 0 ? [-seconds - 1, 1_000_000_000 - nanoseconds] : [seconds, nanoseconds];
  const fraction = String(parts).padStart(9, '0').replace(/0+$/, '');
  return `${seconds < 0 ? '-' : ''}${whole}.${fraction}`;
}

interface Block {
  readonly name: string;
  readonly prefix: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly flag: string;
  readonly linkName: string;
  readonly uname: string;
  readonly gname: string;
  readonly major: number;
  readonly minor: number;
}

const emptyBlock: Block = {
  name: '',
  prefix: '',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  flag: '0',
  linkName: '',
  uname: '',
  gname: '',
  major: 0,
  minor: 0,
};

function encodeBlock(block: Block): Uint8Array {
  const bytes = Buffer.alloc(blockSize);
  const octal = (value: number, at: number, length: number): void => {
    bytes.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  };
  bytes.write(block.name, 0);
  octal(block.mode, 100, 8);
  octal(block.uid, 108, 8);
  octal(block.gid, 116, 8);
  octal(block.size, 124, 12);
  octal(block.mtime, 136, 12);
  bytes.write(block.flag, 156, 'latin1');
  bytes.write(block.linkName, 157);
  bytes.write('ustar\x0000', 257, 'latin1');
  bytes.write(block.uname, 265);
  bytes.write(block.gname, 297);
  octal(block.major, 329, 8);
  octal(block.minor, 337, 8);
  bytes.write(block.prefix, 345);
  // Six digits, NUL, space: the one field that is written differently.
  bytes.write(`${headerSum(bytes).unsigned.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}
