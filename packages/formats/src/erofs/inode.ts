/** EROFS inodes: `struct erofs_inode_compact` (32 bytes) and `struct erofs_inode_extended` (64 bytes). */

import { ByteReader, FormatError } from '../bytes/index.ts';
import type { ErofsType } from './layout.ts';
import {
  compactInodeSize,
  dataLayout,
  extendedInodeSize,
  formatMask,
  typeCodes,
  typeOfMode,
} from './layout.ts';

export interface ErofsInode {
  readonly extended: boolean;
  /** One of {@link dataLayout}. */
  readonly layout: number;
  /** In units of 4 bytes plus a header; 0 when the inode has no xattrs (`i_xattr_icount`). */
  readonly xattrCount: number;
  readonly type: ErofsType;
  /** Permission, setuid, setgid and sticky bits; the type is beside it. */
  readonly mode: number;
  readonly nlink: number;
  /** Bytes. */
  readonly size: number;
  /** `i_u`: first block, device number or chunk format. */
  readonly union: number;
  /** 32-bit inode number for old stat interfaces. */
  readonly ino: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, may be negative. */
  readonly mtime: number;
  readonly mtimeNsec: number;
}

export interface InodeTimes {
  readonly buildTime: number;
  readonly buildTimeNsec: number;
}

type CompactFields = Pick<ErofsInode, 'mtime' | 'mtimeNsec' | 'uid' | 'gid' | 'nlink' | 'size'>;

/** Whether 32 bytes can say everything about the inode; they carry no mtime but the volume's. */
export function fitsCompact(inode: CompactFields, times: InodeTimes): boolean {
  return (
    inode.mtime === times.buildTime &&
    inode.mtimeNsec === times.buildTimeNsec &&
    inode.uid <= 0xffff &&
    inode.gid <= 0xffff &&
    inode.nlink <= 0xffff &&
    inode.size <= 0xffff_ffff
  );
}

export function inodeSize(extended: boolean): number {
  return extended ? extendedInodeSize : compactInodeSize;
}

/** Writes the inode at `at` of a view whose bytes there are zero. Callers have checked every range. */
export function encodeInode(inode: ErofsInode, view: DataView, at: number): void {
  view.setUint16(at, (inode.extended ? 1 : 0) | (inode.layout << 1), true);
  view.setUint16(at + 2, inode.xattrCount, true);
  view.setUint16(at + 4, typeCodes[inode.type].format | inode.mode, true);
  if (!inode.extended) {
    view.setUint16(at + 6, inode.nlink, true);
    view.setUint32(at + 8, inode.size, true);
    view.setUint32(at + 16, inode.union, true);
    view.setUint32(at + 20, inode.ino, true);
    view.setUint16(at + 24, inode.uid, true);
    view.setUint16(at + 26, inode.gid, true);
    return;
  }
  setInteger64(view, at + 8, inode.size);
  view.setUint32(at + 16, inode.union, true);
  view.setUint32(at + 20, inode.ino, true);
  view.setUint32(at + 24, inode.uid, true);
  view.setUint32(at + 28, inode.gid, true);
  setInteger64(view, at + 32, inode.mtime);
  view.setUint32(at + 40, inode.mtimeNsec, true);
  view.setUint32(at + 44, inode.nlink, true);
}

/** Two's complement of a safe integer: images have too many of them for a bigint each. */
function setInteger64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  view.setUint32(at, value - high * 2 ** 32, true);
  view.setInt32(at + 4, high, true);
}

const knownFormatBits = 0x0f;

/** Whether the inode whose first two bytes are given takes 64 bytes. */
export function isExtended(format: number): boolean {
  return (format & 1) === 1;
}

/**
 * @param bytes exactly the inode, 32 or 64 bytes
 * @param offset of the inode in the image, for error messages
 */
export function parseInode(bytes: Uint8Array, offset: number, times: InodeTimes): ErofsInode {
  const reader = new ByteReader(bytes, { base: offset });
  const format = reader.u16('i_format');
  if ((format & ~knownFormatBits) !== 0) {
    throw new FormatError('unsupported', `inode format ${format.toString(16)}`, { offset });
  }
  const extended = isExtended(format);
  const layout = format >> 1;
  if (layout > dataLayout.chunkBased) {
    throw new FormatError('malformed', `inode data layout ${layout}`, { offset });
  }
  const xattrCount = reader.u16('i_xattr_icount');
  const mode = reader.u16('i_mode');
  const type = typeOfMode(mode);
  if (type === undefined) {
    throw new FormatError('malformed', `inode mode ${mode.toString(8)}`, { offset: offset + 4 });
  }
  const common = { extended, layout, xattrCount, mode: mode & ~formatMask, type };
  const shortLinks = reader.u16('i_nlink');
  if (!extended) {
    const size = reader.u32('i_size');
    // Seconds after the build time since Linux 6.15, reserved and zero before.
    const mtime = times.buildTime + reader.u32('i_mtime');
    const union = reader.u32('i_u');
    const ino = reader.u32('i_ino');
    const uid = reader.u16('i_uid');
    const gid = reader.u16('i_gid');
    return {
      ...common,
      nlink: shortLinks,
      size,
      union,
      ino,
      uid,
      gid,
      mtime,
      mtimeNsec: times.buildTimeNsec,
    };
  }
  const size = reader.size64('i_size');
  const union = reader.u32('i_u');
  const ino = reader.u32('i_ino');
  const uid = reader.u32('i_uid');
  const gid = reader.u32('i_gid');
  const mtime = Number(BigInt.asIntN(64, reader.u64('i_mtime')));
  if (!Number.isSafeInteger(mtime)) {
    throw new FormatError('malformed', 'mtime beyond any clock', { offset: offset + 32 });
  }
  const mtimeNsec = reader.u32('i_mtime_nsec');
  const nlink = reader.u32('i_nlink');
  return { ...common, nlink, size, union, ino, uid, gid, mtime, mtimeNsec };
}

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** The kernel's 32-bit device number: 12 bits of major, 20 of minor (`new_encode_dev`). */
export function encodeDevice({ major, minor }: DeviceNumber): number {
  const legal = Number.isInteger(major) && Number.isInteger(minor) && major >= 0 && minor >= 0;
  if (!legal || major > 0xfff || minor > 0xf_ffff) {
    throw new FormatError('not-encodable', `device ${major}:${minor} (at most 4095:1048575)`);
  }
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

export function decodeDevice(rdev: number): DeviceNumber {
  return { major: (rdev & 0xf_ff00) >>> 8, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xf_ff00) };
}
