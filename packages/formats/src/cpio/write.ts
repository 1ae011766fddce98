/**
 * Writes a newc archive as a stream. The same entries give the same bytes: inode numbers count up from 1 in
 * the order of the entries, device numbers are 0, nothing is taken from the machine.
 */

import type { ByteSource } from '../bytes/index.ts';
import { encodeText, FormatError } from '../bytes/index.ts';
import type { CpioAttributes, CpioEntry } from './entry.ts';
import { headerSize, maxPath, pathProblem, trailer, typeBits } from './entry.ts';

interface Header {
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly mtime: number;
  readonly size: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
}

const readChunk = 1024 * 1024;
const maxField = 0xffff_ffff;

/**
 * Chunks of the archive, end mark included; its size is a multiple of 4 bytes. A chunk may be a view into a
 * body and is valid until the next one is asked for.
 *
 * Folders must come before what they hold, since the kernel makes none on its own. Of a file with several
 * names the last one carries the data, as GNU cpio writes it.
 *
 * @throws FormatError (`not-encodable`) for bodies of 4 GiB and more, values that do not fit 32 bits, names
 *   that are not plain relative paths, given twice, or without their folder.
 */
export function* writeCpio(entries: Iterable<CpioEntry>): Generator<Uint8Array, void, undefined> {
  const names = new Names();
  let ino = 0;
  for (const entry of entries) {
    ino += 1;
    names.add(entry.path, entry.kind === 'directory');
    const header = headerOf(entry, ino);
    if (entry.kind === 'file') {
      const links = entry.links ?? [];
      for (const link of links) names.add(link, false);
      const paths = [entry.path, ...links];
      const nlink = paths.length;
      for (const path of paths.slice(0, -1)) yield encodeHeader(path, { ...header, nlink, size: 0 });
      yield encodeHeader(paths.at(-1) ?? '', { ...header, nlink });
      yield* chunks(entry.body);
    } else if (entry.kind === 'symlink') {
      yield encodeHeader(entry.path, header);
      const target = encodeText(entry.target);
      yield Buffer.concat([target, padding(target.length)]);
    } else {
      yield encodeHeader(entry.path, header);
    }
  }
  yield encodeHeader(trailer, { ...nothing, nlink: 1 });
}

const nothing: Header = {
  ino: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  nlink: 0,
  mtime: 0,
  size: 0,
  rdevMajor: 0,
  rdevMinor: 0,
};

function headerOf(entry: CpioEntry, ino: number): Header {
  if (!Number.isInteger(entry.mode) || entry.mode < 0 || entry.mode > 0o7777) {
    throw refuse(entry.path, `mode ${entry.mode}: permission bits only`);
  }
  const isDevice = entry.kind === 'character-device' || entry.kind === 'block-device';
  return {
    ...nothing,
    ino,
    mode: typeBits[entry.kind] | entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    nlink: entry.kind === 'directory' ? 2 : 1,
    mtime: entry.mtime,
    size: sizeOf(entry),
    rdevMajor: isDevice ? entry.major : 0,
    rdevMinor: isDevice ? entry.minor : 0,
  };
}

function sizeOf(entry: CpioEntry): number {
  if (entry.kind === 'file') return entry.body.size;
  if (entry.kind !== 'symlink') return 0;
  const size = encodeText(entry.target).length;
  if (size === 0 || size >= maxPath || entry.target.includes('\0')) {
    throw refuse(entry.path, `its target must have 1 to ${maxPath - 1} bytes and no NUL`);
  }
  return size;
}

/** Header, name, NUL and the zeros that bring them to a multiple of 4 bytes. */
function encodeHeader(path: string, header: Header): Uint8Array {
  const { ino, mode, uid, gid, nlink, mtime, size, rdevMajor, rdevMinor } = header;
  const name = encodeText(path);
  const nameSize = name.length + 1;
  const fields = [ino, mode, uid, gid, nlink, mtime, size, 0, 0, rdevMajor, rdevMinor, nameSize, 0];
  let text = '070701';
  for (const field of fields) {
    if (!Number.isInteger(field) || field < 0 || field > maxField) {
      throw refuse(path, `${field} does not fit 32 bits`);
    }
    text += field.toString(16).padStart(8, '0');
  }
  const bytes = Buffer.alloc(headerSize + nameSize + padding(headerSize + nameSize).length);
  bytes.write(text, 'latin1');
  bytes.set(name, headerSize);
  return bytes;
}

function* chunks(body: ByteSource): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < body.size; at += readChunk) {
    yield body.read(at, Math.min(readChunk, body.size - at));
  }
  const rest = padding(body.size);
  if (rest.length > 0) yield rest;
}

function padding(size: number): Uint8Array {
  return new Uint8Array((4 - (size % 4)) % 4);
}

class Names {
  readonly #all = new Set<string>();
  readonly #folders = new Set<string>(['']);

  add(path: CpioAttributes['path'], isFolder: boolean): void {
    const problem = pathProblem(path);
    if (problem !== undefined) throw refuse(path, problem);
    if (this.#all.has(path)) throw refuse(path, 'is there twice');
    const folder = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
    if (!this.#folders.has(folder)) throw refuse(path, `comes before its folder ${JSON.stringify(folder)}`);
    this.#all.add(path);
    if (isFolder) this.#folders.add(path);
  }
}

function refuse(path: string, why: string): FormatError {
  return new FormatError('not-encodable', `${JSON.stringify(path)}: ${why}`);
}
