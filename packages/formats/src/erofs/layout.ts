/**
 * EROFS on-disk constants: Linux `fs/erofs/erofs_fs.h` and Documentation/filesystems/erofs.rst ("On-disk
 * details"). All integers are little-endian; an inode number (nid) is a 32-byte slot counted from `meta_blkaddr`.
 */

export const superblockMagic = 0xe0f5_e1e2;
/** The superblock starts here, so that boot sectors can live in front of it. Bytes. */
export const superblockOffset = 1024;
export const superblockSize = 128;
/** Size of one nid slot. Bytes. */
export const slotSize = 32;
export const compactInodeSize = 32;
export const extendedInodeSize = 64;
export const direntSize = 12;
export const maxNameLength = 255;
/** PATH_MAX without its NUL: the kernel cannot follow a longer symlink. */
export const maxSymlinkLength = 4095;
export const xattrHeaderSize = 12;
export const xattrEntrySize = 4;
/** "No block": holes of chunk-based files, and files without blocks of their own. */
export const nullBlock = 0xffff_ffff;

export const compatFeature = {
  superblockChecksum: 0x01,
  mtime: 0x02,
  xattrFilter: 0x04,
  sharedXattrsInMetabox: 0x08,
  plainXattrPrefixes: 0x10,
} as const;

export const incompatFeature = {
  chunkedFile: 0x04,
  deviceTable: 0x08,
  fragments: 0x20,
  xattrPrefixes: 0x40,
} as const;

/** Names of every assigned incompatible feature bit, for refusals one can look up. */
export const incompatNames: ReadonlyMap<number, string> = new Map([
  [0x01, 'lz4_0padding'],
  [0x02, 'compr_cfgs/big_pcluster'],
  [0x04, 'chunked_file'],
  [0x08, 'device_table/compr_head2'],
  [0x10, 'ztailpacking'],
  [0x20, 'fragments/dedupe'],
  [0x40, 'xattr_prefixes'],
  [0x80, '48bit'],
  [0x100, 'metabox'],
]);

/** Bits 1-3 of `i_format`. */
export const dataLayout = {
  flatPlain: 0,
  compressedFull: 1,
  flatInline: 2,
  compressedCompact: 3,
  chunkBased: 4,
} as const;

const types = ['file', 'directory', 'symlink', 'char', 'block', 'fifo', 'socket'] as const;
export type ErofsType = (typeof types)[number];

/** Per type: the S_IFMT bits of `i_mode` and the `file_type` of a dirent. */
export const typeCodes: Readonly<Record<ErofsType, { readonly format: number; readonly dirent: number }>> = {
  file: { format: 0o100000, dirent: 1 },
  directory: { format: 0o040000, dirent: 2 },
  char: { format: 0o020000, dirent: 3 },
  block: { format: 0o060000, dirent: 4 },
  fifo: { format: 0o010000, dirent: 5 },
  socket: { format: 0o140000, dirent: 6 },
  symlink: { format: 0o120000, dirent: 7 },
};

export const formatMask = 0o170000;

const typeByFormat: ReadonlyMap<number, ErofsType> = new Map(
  types.map((type) => [typeCodes[type].format, type]),
);

export function typeOfMode(mode: number): ErofsType | undefined {
  return typeByFormat.get(mode & formatMask);
}

export function roundUp(value: number, unit: number): number {
  const over = value % unit;
  return over === 0 ? value : value + unit - over;
}
