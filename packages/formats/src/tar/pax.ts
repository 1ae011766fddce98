/**
 * Extended headers: records `LENGTH KEYWORD=VALUE\n` (POSIX.1-2017 pax(1), "pax Extended Header"), with the
 * keywords of star (SCHILY.*), libarchive (LIBARCHIVE.*) and GNU (GNU.sparse.*).
 */

import { decodeText, encodeText, equalBytes, FormatError } from '../bytes/index.ts';
import type { TarTime } from './entry.ts';

/** What extended headers say about an entry; absent: nothing. */
export interface PaxValues {
  path?: string;
  linkPath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  uname?: string;
  gname?: string;
  mtime?: TarTime;
  xattrs: Map<string, Uint8Array>;
  ignored: string[];
}

/** Keywords that change nothing we keep. */
const harmless =
  /^(atime|ctime|comment|charset|hdrcharset|SCHILY\.(dev|ino|nlink|fflags)|LIBARCHIVE\.creationtime)$/;
/** Keywords that make the body something else than the file's bytes. */
const sparse = /^(GNU\.sparse\.|SCHILY\.(realsize|offset)$|SUN\.holesdata$)/;

const maxXattrs = 1024;

/** @param global whether the values are for all entries that follow, which is refused for what names one. */
export function parsePax(
  bytes: Uint8Array,
  { base, global }: { readonly base: number; readonly global: boolean },
): PaxValues {
  const values: PaxValues = { xattrs: new Map(), ignored: [] };
  for (const { keyword, value, offset } of records(bytes, base)) {
    if (sparse.test(keyword) || (keyword === 'SCHILY.filetype' && value.toString() === 'sparse')) {
      throw new FormatError('unsupported', `sparse file (${keyword})`, {
        offset,
        hint: 'make the archive without --sparse',
      });
    }
    if (global && /^(path|linkpath|size|(SCHILY|LIBARCHIVE)\.xattr\..*)$/.test(keyword)) {
      throw new FormatError('unsupported', `${keyword} in a global header: readers differ about it`, {
        offset,
      });
    }
    if (value.length === 0 && !keyword.includes('.xattr.')) {
      // "An empty value deletes": the header block counts again, and so do earlier records.
      forget(values, keyword);
    } else {
      apply(values, { keyword, value, offset });
    }
  }
  return values;
}

interface PaxRecord {
  readonly keyword: string;
  readonly value: Buffer;
  readonly offset: number;
}

function* records(bytes: Uint8Array, base: number): Generator<PaxRecord, void, undefined> {
  let at = 0;
  while (at < bytes.length) {
    const offset = base + at;
    const broken = (why: string): FormatError =>
      new FormatError('malformed', `pax record ${why}`, { offset });
    const blank = bytes.subarray(at, at + 12).indexOf(0x20);
    const digits = blank < 1 ? '' : Buffer.from(bytes.subarray(at, at + blank)).toString('latin1');
    if (!/^[1-9][0-9]*$/.test(digits)) throw broken('without a length');
    const end = at + Number(digits);
    if (end > bytes.length) throw broken(`of ${digits} bytes is longer than its header`);
    if (bytes[end - 1] !== 0x0a) throw broken(`of ${digits} bytes does not end in a newline`);
    const start = at + blank + 1;
    const body = bytes.subarray(start, Math.max(start, end - 1));
    const equals = body.indexOf(0x3d);
    if (equals < 1) throw broken('without a keyword');
    const keyword = decodeText(body.subarray(0, equals));
    if (keyword.includes('\0')) throw broken('whose keyword has a NUL');
    yield { keyword, value: Buffer.from(body.subarray(equals + 1)), offset };
    at = end;
  }
}

type NamedValue = 'path' | 'linkPath' | 'size' | 'uid' | 'gid' | 'uname' | 'gname' | 'mtime';

const named: ReadonlyMap<string, NamedValue> = new Map([
  ['path', 'path'],
  ['linkpath', 'linkPath'],
  ['size', 'size'],
  ['uid', 'uid'],
  ['gid', 'gid'],
  ['uname', 'uname'],
  ['gname', 'gname'],
  ['mtime', 'mtime'],
]);

function forget(values: PaxValues, keyword: string): void {
  const name = named.get(keyword);
  if (name !== undefined) delete values[name];
}

function apply(values: PaxValues, { keyword, value, offset }: PaxRecord): void {
  const name = named.get(keyword);
  switch (name) {
    case 'path':
    case 'linkPath':
    case 'uname':
    case 'gname':
      values[name] = parseString(value, keyword, offset);
      return;
    case 'size':
    case 'uid':
    case 'gid':
      values[name] = parseDecimal(value, keyword, offset);
      return;
    case 'mtime':
      values.mtime = parseTime(value, offset);
      return;
    case undefined:
      break;
  }
  const xattr = parseXattr(keyword, value, offset);
  if (xattr !== undefined) {
    const known = values.xattrs.get(xattr.name);
    // libarchive writes each attribute in both forms.
    if (known !== undefined && !equalBytes(known, xattr.value)) {
      throw new FormatError('malformed', `two values of the attribute ${xattr.name}`, { offset });
    }
    values.xattrs.set(xattr.name, xattr.value);
    if (values.xattrs.size > maxXattrs) {
      throw new FormatError('too-large', `more than ${maxXattrs} extended attributes`, { offset });
    }
  } else if (!harmless.test(keyword)) {
    values.ignored.push(keyword);
  }
}

function parseXattr(
  keyword: string,
  value: Buffer,
  offset: number,
): { readonly name: string; readonly value: Uint8Array } | undefined {
  const [, form, stored] = /^(SCHILY|LIBARCHIVE)\.xattr\.(.+)$/s.exec(keyword) ?? [];
  if (form === undefined || stored === undefined) return undefined;
  if (form === 'SCHILY') return { name: stored, value: Uint8Array.from(value) };
  const text = value.toString('latin1');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw new FormatError('malformed', `${keyword} is not base 64`, { offset });
  }
  try {
    return { name: decodeURIComponent(stored), value: Uint8Array.from(Buffer.from(text, 'base64')) };
  } catch (cause) {
    throw new FormatError('malformed', `${keyword} has a broken escape`, { offset, cause });
  }
}

function parseString(value: Buffer, keyword: string, offset: number): string {
  if (value.includes(0)) throw new FormatError('malformed', `pax ${keyword} has a NUL`, { offset });
  return decodeText(value);
}

function parseDecimal(value: Buffer, keyword: string, offset: number): number {
  const text = value.toString('latin1');
  const number = Number(text);
  if (!/^[0-9]{1,20}$/.test(text) || !Number.isSafeInteger(number)) {
    throw new FormatError('malformed', `pax ${keyword}: ${JSON.stringify(text.slice(0, 40))}`, { offset });
  }
  return number;
}

/** Finer than a nanosecond is cut off, which is downwards also for times before 1970. */
function parseTime(value: Buffer, offset: number): TarTime {
  const text = value.toString('latin1', 0, 64);
  const [, sign, whole, fraction = ''] = /^(-?)([0-9]{1,15})(?:\.([0-9]{0,40}))?$/.exec(text) ?? [];
  if (whole === undefined || value.length > 60) {
    throw new FormatError('malformed', `pax mtime: ${JSON.stringify(text)}`, { offset });
  }
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign !== '-') return { seconds: Number(whole), nanoseconds };
  const up = nanoseconds > 0 || /[1-9]/.test(fraction.slice(9)) ? 1 : 0;
  const parts = nanoseconds + (/[1-9]/.test(fraction.slice(9)) ? 1 : 0);
  // + 0 keeps "-0" from becoming a negative zero.
  return {
    seconds: -Number(whole) - up + 0,
    nanoseconds: up === 0 ? 0 : (1_000_000_000 - parts) % 1_000_000_000,
  };
}

/** Records in the order they are given; the same order for the same values is up to the caller. */
export function encodePax(values: ReadonlyMap<string, string | Uint8Array>): Uint8Array {
  const pieces: Buffer[] = [];
  for (const [keyword, value] of values) {
    const rest = Buffer.concat([
      encodeText(` ${keyword}=`),
      typeof value === 'string' ? encodeText(value) : value,
      Buffer.from('\n'),
    ]);
    // The length counts its own digits.
    let length = rest.length + 1;
    while (rest.length + String(length).length !== length) length = rest.length + String(length).length;
    pieces.push(Buffer.from(String(length)), rest);
  }
  return Buffer.concat(pieces);
}
