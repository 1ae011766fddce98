/**
 * Short (8.3) and long names. Microsoft "FAT32 File System Specification" 1.03, sections "FAT Directory
 * Structure", "FAT Long Directory Entries" and "Name Limits and Character Sets".
 */

import { FormatError } from '../bytes/index.ts';

/** UTF-16 units in one long name entry and in the longest name. */
export const unitsPerEntry = 13;
const maxUnits = 255;

const shortSpecial = "$%'-_@~`!(){}^#&";
const illegalLong = '"*/:<>?\\|';

/** Why `name` cannot be a file name on FAT, or undefined when it can. */
export function longNameProblem(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'is empty or a dot name';
  if (name.length > maxUnits) return `is longer than ${maxUnits} UTF-16 units`;
  if (/[. ]$/.test(name)) return 'ends in a dot or space, which drivers drop';
  for (const char of name) {
    if (char < ' ' || illegalLong.includes(char)) return `has ${JSON.stringify(char)}`;
  }
  return undefined;
}

/** Names are compared without regard to case; characters whose upper case is longer (ß) stay as they are. */
export function foldName(name: string): string {
  let folded = '';
  for (const char of name) {
    const upper = char.toUpperCase();
    folded += upper.length === char.length ? upper : char;
  }
  return folded;
}

/** Eleven bytes of the short name, when `name` is one but for its case; see also {@link isExactShortName}. */
export function exactShortName(anyCase: string): Uint8Array | undefined {
  const name = anyCase.replace(/[a-z]/g, (char) => char.toUpperCase());
  const match = /^([^.]{1,8})(?:\.([^.]{1,3}))?$/.exec(name);
  if (match === null || Array.from(name).some((char) => char !== '.' && !isShort(char))) return undefined;
  return pack(match[1] ?? '', match[2] ?? '');
}

/** Whether `name` needs no long entries: an upper-case 8.3 name. */
export function isExactShortName(name: string): boolean {
  return !/[a-z]/.test(name) && exactShortName(name) !== undefined;
}

/**
 * A short name beside a long one: basis name and numeric tail, `LONGNA~1.TXT`, the first that `taken` has
 * not. The new name is added to `taken`.
 */
export function inventShortName(name: string, taken: Set<string>): Uint8Array {
  const dot = name.lastIndexOf('.');
  const base = squeeze(dot > 0 ? name.slice(0, dot) : name);
  const extension = dot > 0 ? squeeze(name.slice(dot + 1)).slice(0, 3) : '';
  for (let n = 1; n < 1_000_000; n += 1) {
    const tail = `~${n}`;
    const packed = pack(base.slice(0, 8 - tail.length) + tail, extension);
    const key = shortKey(packed);
    if (taken.has(key)) continue;
    taken.add(key);
    return packed;
  }
  throw new FormatError('not-encodable', `no short name is left for ${JSON.stringify(name)}`);
}

export function shortKey(packed: Uint8Array): string {
  return Buffer.from(packed).toString('latin1');
}

/** Sum over the short name that ties long entries to it. */
export function shortNameChecksum(packed: Uint8Array): number {
  let sum = 0;
  for (const byte of packed.subarray(0, 11)) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff;
  return sum;
}

/**
 * Text of a stored short name. Bytes above 0x7f belong to an unknown code page and are read as Latin-1.
 *
 * @param caseFlags byte 12 of the entry: 0x08 lower-case base, 0x10 lower-case extension.
 */
export function decodeShortName(packed: Uint8Array, caseFlags: number, offset: number): string {
  const bytes = Uint8Array.from(packed.subarray(0, 11));
  // 0xe5 marks a deleted entry, so a name that starts with that byte is stored with 0x05.
  if (bytes[0] === 0x05) bytes[0] = 0xe5;
  const text = Buffer.from(bytes).toString('latin1');
  const base = text.slice(0, 8).trimEnd();
  const extension = text.slice(8).trimEnd();
  if (
    base === '' ||
    Array.from(base + extension).some((char) => !isShort(char.toUpperCase()) && char < '\x80')
  ) {
    throw new FormatError('malformed', `short name ${JSON.stringify(text)}`, { offset });
  }
  const shownBase = (caseFlags & 0x08) === 0 ? base : base.toLowerCase();
  const shownExtension = (caseFlags & 0x10) === 0 ? extension : extension.toLowerCase();
  return extension === '' ? shownBase : `${shownBase}.${shownExtension}`;
}

function isShort(char: string): boolean {
  return (char >= 'A' && char <= 'Z') || (char >= '0' && char <= '9') || shortSpecial.includes(char);
}

function squeeze(part: string): string {
  let out = '';
  for (const char of part) {
    if (char === ' ' || char === '.') continue;
    const upper = char >= 'a' && char <= 'z' ? char.toUpperCase() : char;
    out += isShort(upper) ? upper : '_';
  }
  return out;
}

function pack(base: string, extension: string): Uint8Array {
  return Buffer.from((base === '' ? '_' : base).padEnd(8) + extension.padEnd(3), 'latin1');
}
