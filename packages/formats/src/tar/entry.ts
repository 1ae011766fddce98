/**
 * What a tar archive holds: POSIX.1-2017 pax(1), "pax Interchange Format" and "ustar Interchange Format".
 * Names that are not UTF-8 are strings as decodeText makes them.
 */

export type TarKind =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'hardlink'
  | 'character-device'
  | 'block-device'
  | 'fifo';

export interface TarTime {
  /** Since 1970; negative before. */
  readonly seconds: number;
  /** 0 to 999,999,999, added to `seconds`. */
  readonly nanoseconds: number;
}

export interface TarEntry {
  /** As stored but for trailing slashes: may be absolute or climb with `..`, see safePath. */
  readonly path: string;
  readonly kind: TarKind;
  /** Bytes of the body that follows; 0 unless it is a file. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly uname: string;
  readonly gname: string;
  readonly mtime: TarTime;
  /** Target of a symlink, as stored, or path of the entry that a hard link is another name of; else ''. */
  readonly linkPath: string;
  /** Device numbers; 0 unless it is a device. */
  readonly major: number;
  readonly minor: number;
  /** By full name, for example `security.capability`. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

export interface TarReadEntry extends TarEntry {
  /** Of its first header block in the stream, extension headers included. Bytes. */
  readonly offset: number;
  /** Of its body in the stream. Bytes. */
  readonly bodyOffset: number;
  /** Keywords of its pax headers that were not understood and may matter, such as `SCHILY.acl.access`. */
  readonly ignored: readonly string[];
}

export const blockSize = 512;

export const kindOfFlag: ReadonlyMap<string, TarKind> = new Map([
  ['\0', 'file'],
  ['0', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'character-device'],
  ['4', 'block-device'],
  ['5', 'directory'],
  ['6', 'fifo'],
  // "Contiguous file": systems without such files are to treat it as an ordinary one.
  ['7', 'file'],
]);

export const flagOfKind: Readonly<Record<TarKind, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  'character-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
};
