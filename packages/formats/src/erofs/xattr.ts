/**
 * Extended attributes: `struct erofs_xattr_ibody_header` behind an inode (12 bytes, then ids of shared entries,
 * then inline entries) and `struct erofs_xattr_entry` (4 bytes, name without its prefix, value, padded to 4).
 */

import { ByteReader, ByteWriter, decodeText, encodeText, FormatError } from '../bytes/index.ts';
import { roundUp, xattrEntrySize, xattrHeaderSize } from './layout.ts';

/** `e_name_index` and the prefix it stands for; the two ACL names leave nothing behind the prefix. */
const prefixes: readonly (readonly [number, string])[] = [
  [1, 'user.'],
  [2, 'system.posix_acl_access'],
  [3, 'system.posix_acl_default'],
  [4, 'trusted.'],
  [5, 'lustre.'],
  [6, 'security.'],
];
const isAcl = (index: number): boolean => index === 2 || index === 3;

const longPrefixBit = 0x80;

export interface LongPrefix {
  readonly baseIndex: number;
  readonly infix: Uint8Array;
}

/** One entry as it is stored, inline or shared, padding included. */
export function encodeXattr(name: string, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const found = prefixes.find(([index, prefix]) =>
    isAcl(index) ? name === prefix : name.startsWith(prefix),
  );
  if (found === undefined) {
    throw new FormatError(
      'not-encodable',
      `xattr ${JSON.stringify(name.slice(0, 300))} has no prefix EROFS knows`,
      {
        hint: 'user., trusted., security. and the two POSIX ACLs can be stored',
      },
    );
  }
  const [index, prefix] = found;
  const rest = encodeText(name.slice(prefix.length));
  if ((rest.length === 0 && !isAcl(index)) || rest.includes(0) || rest.length + prefix.length > 255) {
    throw new FormatError('not-encodable', `xattr name ${JSON.stringify(name.slice(0, 300))}`);
  }
  if (value.length > 0xffff) {
    throw new FormatError('not-encodable', `xattr ${name} has ${value.length} bytes, at most 65535 fit`);
  }
  const size = xattrEntrySize + rest.length + value.length;
  return new ByteWriter({ capacity: roundUp(size, 4) })
    .u8(rest.length)
    .u8(index)
    .u16(value.length)
    .bytes(rest)
    .bytes(value)
    .align(4)
    .finish();
}

export interface Xattr {
  readonly name: string;
  readonly value: Uint8Array;
}

/** Size of an entry with its padding, from its first four bytes. Bytes. */
export function xattrSize(head: Uint8Array): number {
  const [nameLength = 0, , low = 0, high = 0] = head;
  return roundUp(xattrEntrySize + nameLength + low + high * 256, 4);
}

/** Reads one entry; the value is a copy. */
export function parseXattr(reader: ByteReader, longPrefixes: readonly LongPrefix[]): Xattr {
  const at = reader.offset;
  const nameLength = reader.u8('e_name_len');
  const nameIndex = reader.u8('e_name_index');
  const valueSize = reader.u16('e_value_size');
  const rest = reader.bytes(nameLength, 'xattr name');
  const value = Uint8Array.from(reader.bytes(valueSize, 'xattr value'));
  const unaligned = (xattrEntrySize + nameLength + valueSize) % 4;
  if (unaligned !== 0) reader.skip(4 - unaligned, 'xattr padding');
  return { name: xattrName(nameIndex, { rest, longPrefixes, at }), value };
}

interface NameParts {
  readonly rest: Uint8Array;
  readonly longPrefixes: readonly LongPrefix[];
  readonly at: number;
}

function xattrName(nameIndex: number, { rest, longPrefixes, at }: NameParts): string {
  let baseIndex = nameIndex;
  let infix: Uint8Array = new Uint8Array(0);
  if ((nameIndex & longPrefixBit) !== 0) {
    const long = longPrefixes[nameIndex & ~longPrefixBit];
    if (long === undefined) {
      throw new FormatError('malformed', `xattr name prefix ${nameIndex & ~longPrefixBit}`, { offset: at });
    }
    ({ baseIndex, infix } = long);
  }
  const prefix = prefixes.find(([index]) => index === baseIndex)?.[1];
  const length = infix.length + rest.length;
  if (prefix === undefined || isAcl(baseIndex) !== (length === 0) || rest.includes(0) || infix.includes(0)) {
    throw new FormatError('malformed', `xattr name of prefix ${baseIndex} and ${length} bytes`, {
      offset: at,
    });
  }
  return prefix + decodeText(infix.length === 0 ? rest : Buffer.concat([infix, rest]));
}

/** `i_xattr_icount` for a body of that many bytes behind the header: 0 means no body at all. */
export function xattrCountOf(bodySize: number): number {
  return bodySize === 0 ? 0 : bodySize / 4 + 1;
}

/** Size of the xattr body an inode announces, header included. Bytes. */
export function xattrAreaSize(xattrCount: number): number {
  return xattrCount === 0 ? 0 : xattrHeaderSize + (xattrCount - 1) * 4;
}

export interface XattrBody {
  readonly sharedIds: readonly number[];
  readonly inline: readonly Xattr[];
}

/** @param offset of the body in the image, for error messages */
export function parseXattrBody(
  bytes: Uint8Array,
  offset: number,
  longPrefixes: readonly LongPrefix[],
): XattrBody {
  const reader = new ByteReader(bytes, { base: offset });
  // The name filter only speeds up lookups of names that are not there.
  reader.skip(4, 'h_name_filter');
  const sharedCount = reader.u8('h_shared_count');
  reader.skip(7, 'h_reserved2');
  const sharedIds: number[] = [];
  for (let i = 0; i < sharedCount; i += 1) sharedIds.push(reader.u32('h_shared_xattrs'));
  const inline: Xattr[] = [];
  while (reader.remaining > 0) inline.push(parseXattr(reader, longPrefixes));
  return { sharedIds, inline };
}
