/** Where the bytes of a file are: flat, flat with an inline tail, or in chunks. Everything is checked on the way. */

import { ByteReader, FormatError } from '../bytes/index.ts';
import type { ErofsInode } from './inode.ts';
import { inodeSize } from './inode.ts';
import { dataLayout, nullBlock, roundUp } from './layout.ts';
import type { MetadataWindow } from './window.ts';
import { xattrAreaSize } from './xattr.ts';

export interface Extent {
  /** Bytes of the file this extent has from the asked-for offset on. */
  readonly length: number;
  /** Offset in the image; undefined for a hole, which reads as zeros. */
  readonly at: number | undefined;
}

export interface ContentOptions {
  readonly inode: ErofsInode;
  /** Of the inode in the image. */
  readonly offset: number;
  readonly blockSize: number;
  readonly window: MetadataWindow;
}

/** Maps offsets of one inode's content to extents; `position` must be less than the inode's size. */
export type ContentMap = (position: number) => Extent;

/** @throws FormatError when content lies outside of the file system or is stored in a way this reader refuses */
export function mapContent(options: ContentOptions): ContentMap {
  const { inode, offset } = options;
  switch (inode.layout) {
    case dataLayout.flatPlain:
      return inode.union === nullBlock ? hole(inode) : flat(options, inode.size);
    case dataLayout.flatInline:
      return flatInline(options);
    case dataLayout.chunkBased:
      return chunked(options);
    default:
      throw new FormatError('unsupported', 'the content of this inode is compressed', {
        offset,
        hint: 'compressed EROFS images can be listed but not read; make the image without compression',
      });
  }
}

function hole({ size }: ErofsInode): ContentMap {
  return (position) => ({ length: size - position, at: undefined });
}

/** `size` bytes from the inode's first block on. */
function flat({ inode, offset, blockSize, window }: ContentOptions, size: number): ContentMap {
  const start = inode.union * blockSize;
  assertExtent(window, { start, length: size, offset });
  return (position) => ({ length: size - position, at: start + position });
}

function flatInline(options: ContentOptions): ContentMap {
  const { inode, offset, blockSize, window } = options;
  const inBlocks = Math.max(0, Math.ceil(inode.size / blockSize) - 1) * blockSize;
  const tail = inode.size - inBlocks;
  const start = endOfXattrs(inode, offset);
  assertExtent(window, { start, length: tail, offset });
  if ((start % blockSize) + tail > blockSize) {
    throw new FormatError('malformed', `inline tail of ${tail} bytes crosses a block boundary`, { offset });
  }
  const blocks = inBlocks === 0 ? undefined : flat(options, inBlocks);
  return (position) => {
    if (blocks !== undefined && position < inBlocks) return blocks(position);
    return { length: inode.size - position, at: start + position - inBlocks };
  };
}

const chunkBitsMask = 0x1f;
const chunkIndexes = 0x20;

function chunked({ inode, offset, blockSize, window }: ContentOptions): ContentMap {
  const format = inode.union % 0x1_0000;
  if ((format & ~(chunkBitsMask | chunkIndexes)) !== 0) {
    throw new FormatError('unsupported', `chunk format ${format.toString(16)}`, { offset: offset + 16 });
  }
  const indexed = (format & chunkIndexes) !== 0;
  const unit = indexed ? 8 : 4;
  const chunkSize = blockSize * 2 ** (format & chunkBitsMask);
  const table = roundUp(endOfXattrs(inode, offset), unit);
  assertExtent(window, { start: table, length: Math.ceil(inode.size / chunkSize) * unit, offset });
  return (position) => {
    const index = Math.floor(position / chunkSize);
    const within = position - index * chunkSize;
    const end = Math.min(chunkSize, inode.size - index * chunkSize);
    const at = table + index * unit;
    const reader = new ByteReader(window.read(at, unit), { base: at });
    if (indexed) {
      reader.skip(2, 'advise');
      const device = reader.u16('device_id');
      if (device !== 0) {
        throw new FormatError('unsupported', `content on extra device ${device}`, { offset: at });
      }
    }
    const block = reader.u32('blkaddr');
    const length = end - within;
    if (block === nullBlock) return { length, at: undefined };
    assertExtent(window, { start: block * blockSize, length: end, offset: at });
    return { length, at: block * blockSize + within };
  };
}

function endOfXattrs(inode: ErofsInode, offset: number): number {
  return offset + inodeSize(inode.extended) + xattrAreaSize(inode.xattrCount);
}

function assertExtent(
  { size }: MetadataWindow,
  { start, length, offset }: { readonly start: number; readonly length: number; readonly offset: number },
): void {
  if (length > size || start > size - length) {
    throw new FormatError('malformed', `${length} bytes at ${start} of a file system of ${size}`, { offset });
  }
}
