/**
 * Fixed VHD images: a raw disk and a footer of 512 bytes after it. Microsoft "Virtual Hard Disk Image Format
 * Specification" (2006), "Hard Disk Footer Format" and appendix "CHS Calculation". Azure takes this form,
 * with a size that is a multiple of 1 MiB.
 */

import type { ByteSource } from '../bytes/index.ts';
import { ByteReader, ByteWriter, FormatError, fromHex, sliceSource, toHex } from '../bytes/index.ts';

export const vhdFooterSize = 512;
/** What Azure wants disk sizes to be multiples of. Bytes. */
export const vhdSizeUnit = 1_048_576;

export interface VhdFooter {
  /** Of the disk, without the footer. Bytes. */
  readonly size: number;
  /** Of the image. */
  readonly uuid: string;
  /** When it was made. Seconds since 1970 UTC; the format begins in 2000. */
  readonly time: number;
}

export interface VhdGeometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
}

const cookie = 'conectix';
const checksumAt = 64;
const epoch2000 = 946_684_800;
const version = 0x0001_0000;
const fixedDisk = 2;
const noDataOffset = 0xffff_ffff_ffff_ffffn;
/**
 * Hyper-V's name and Windows 10's version. A reader of VHD takes the size of the disk from the CHS geometry,
 * which can express few sizes exactly, unless it knows the creator for one that goes by the size field.
 */
const creator = 'win ';
const creatorVersion = 0x000a_0000;
const creatorHost = 'Wi2k';
/** The geometry reaches no further: 65535 × 16 × 255 sectors. */
const maxChsSectors = 65_535 * 16 * 255;

/**
 * @returns 512 bytes to put after the disk.
 * @throws FormatError (`not-encodable`) for a size that is no multiple of 1 MiB, a time outside 2000 to 2136,
 *   or a text that is no UUID.
 */
export function encodeVhdFooter({ size, uuid, time }: VhdFooter): Uint8Array<ArrayBuffer> {
  if (!Number.isSafeInteger(size) || size <= 0 || size % vhdSizeUnit !== 0) {
    throw new FormatError('not-encodable', `a disk of ${size} bytes is not a multiple of 1 MiB`, {
      hint: 'Azure refuses such images: make the disk larger',
    });
  }
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid)) {
    throw new FormatError('not-encodable', `${JSON.stringify(uuid)} is not a UUID`);
  }
  const { cylinders, heads, sectorsPerTrack } = vhdGeometry(size);
  const footer = new ByteWriter({ endian: 'big', capacity: vhdFooterSize })
    .bytes(Buffer.from(cookie, 'latin1'))
    // No features; bit 1 is reserved and always set.
    .u32(2)
    .u32(version)
    .u64(noDataOffset)
    .u32(time - epoch2000)
    .bytes(Buffer.from(creator, 'latin1'))
    .u32(creatorVersion)
    .bytes(Buffer.from(creatorHost, 'latin1'))
    .u64(size)
    .u64(size)
    .u16(cylinders)
    .u8(heads)
    .u8(sectorsPerTrack)
    .u32(fixedDisk)
    .u32(0)
    .bytes(fromHex(uuid.replaceAll('-', '')))
    .zeros(428)
    .finish();
  new DataView(footer.buffer, footer.byteOffset).setUint32(checksumAt, checksum(footer));
  return footer;
}

/**
 * @param footer exactly 512 bytes. @param base of the footer in the image, for error offsets.
 * @throws FormatError: `unsupported` for dynamic and differencing images.
 */
export function parseVhdFooter(footer: Uint8Array, base = 0): VhdFooter & { readonly geometry: VhdGeometry } {
  const reader = new ByteReader(footer, { endian: 'big', base });
  if (Buffer.from(reader.bytes(8, 'cookie')).toString('latin1') !== cookie) {
    throw new FormatError('not-this-format', `no VHD footer: ${cookie} is missing`, { offset: base });
  }
  reader.skip(4, 'features');
  const found = reader.u32('version');
  const dataOffset = reader.u64('data offset');
  const time = reader.u32('time') + epoch2000;
  reader.skip(20, 'creator and original size');
  const size = reader.size64('current size');
  const geometry = {
    cylinders: reader.u16('cylinders'),
    heads: reader.u8('heads'),
    sectorsPerTrack: reader.u8('sectors per track'),
  };
  const type = reader.u32('disk type');
  const stored = reader.u32('checksum');
  const id = toHex(reader.bytes(16, 'UUID'));
  reader.skip(428, 'reserved');
  reader.end('VHD footer');
  const computed = checksum(footer);
  if (stored !== computed) {
    throw new FormatError('checksum', `footer checksum is ${stored}, computed ${computed}`, {
      offset: base + checksumAt,
    });
  }
  if (found !== version) {
    throw new FormatError('unsupported', `VHD version 0x${found.toString(16)}`, { offset: base + 12 });
  }
  if (type !== fixedDisk || dataOffset !== noDataOffset) {
    throw new FormatError('unsupported', `VHD of type ${type}: only fixed images (2) are read`, {
      offset: base + 60,
      hint: 'qemu-img convert -f vpc -O raw makes a raw disk of it',
    });
  }
  if (size === 0 || size % 512 !== 0) {
    throw new FormatError('malformed', `a disk of ${size} bytes`, { offset: base + 48 });
  }
  const uuid = id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  return { size, uuid, time, geometry };
}

/** The disk inside a fixed VHD image. @throws FormatError also when the image's size is not disk and footer. */
export function readVhd(image: ByteSource): { readonly footer: VhdFooter; readonly disk: ByteSource } {
  const base = Math.max(image.size - vhdFooterSize, 0);
  const footer = parseVhdFooter(Uint8Array.from(image.read(base, vhdFooterSize)), base);
  if (footer.size !== base) {
    throw new FormatError('malformed', `a disk of ${footer.size} bytes in an image with room for ${base}`, {
      offset: base + 48,
    });
  }
  return { footer, disk: sliceSource(image, 0, footer.size) };
}

/** Cylinders, heads and sectors for a disk of `size` bytes, as the appendix of the specification has it. */
export function vhdGeometry(size: number): VhdGeometry {
  const sectors = Math.min(Math.floor(size / 512), maxChsSectors);
  const shape = (heads: number, sectorsPerTrack: number): VhdGeometry => {
    const tracks = Math.floor(sectors / sectorsPerTrack);
    return { cylinders: Math.floor(tracks / heads), heads, sectorsPerTrack };
  };
  if (sectors >= 65_535 * 16 * 63) return shape(16, 255);
  const tracks17 = Math.floor(sectors / 17);
  const heads17 = Math.max(Math.floor((tracks17 + 1023) / 1024), 4);
  if (heads17 <= 16 && tracks17 < heads17 * 1024) return shape(heads17, 17);
  const tracks31 = Math.floor(sectors / 31);
  return tracks31 < 16 * 1024 ? shape(16, 31) : shape(16, 63);
}

/** One's complement of the sum of all bytes but the field itself. */
function checksum(footer: Uint8Array): number {
  let sum = 0;
  for (const [at, byte] of footer.entries()) {
    if (at < checksumAt || at >= checksumAt + 4) sum += byte;
  }
  return ~sum >>> 0;
}
