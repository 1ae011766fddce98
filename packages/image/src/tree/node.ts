/** One inode of a root tree. Two names of one file (a hard link) are one node under two paths. */

export type NodeType = 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

export type LongTypeName = Exclude<NodeType, 'char'> | 'character';

/** As SELinux and initrd archives call the types. */
export const typeNames: Readonly<Record<NodeType, LongTypeName>> = {
  file: 'file',
  directory: 'directory',
  symlink: 'symlink',
  char: 'character',
  block: 'block',
  fifo: 'fifo',
  socket: 'socket',
};

/** The bytes of a regular file: in memory, or a range of a file on disk. */
export type Body =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'range';
      readonly path: string;
      /** Bytes into the file at `path`. */
      readonly offset: number;
      readonly size: number;
    };

export interface RootNode {
  readonly type: NodeType;
  /** Permission, set-ID and sticky bits: 0 to 0o7777. */
  mode: number;
  uid: number;
  gid: number;
  /** Whole seconds since 1970. */
  mtime: number;
  /** Full names (`security.capability`), values as getxattr gives them. */
  xattrs: ReadonlyMap<string, Uint8Array>;
  /** Of regular files. */
  body?: Body;
  /** Of symbolic links, as written. */
  target?: string;
  /** Of character and block devices. */
  device?: { readonly major: number; readonly minor: number };
}

export type NewNode = Partial<Omit<RootNode, 'type'>> & Pick<RootNode, 'type'>;

const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();

/** A node with root's ownership, time 0 and the usual mode of its type unless told otherwise. */
export function makeNode(given: NewNode): RootNode {
  const mode = given.type === 'directory' ? 0o755 : given.type === 'symlink' ? 0o777 : 0o644;
  return { mode, uid: 0, gid: 0, mtime: 0, xattrs: noXattrs, ...given };
}

export function bytesBody(bytes: Uint8Array | string): Body {
  return { kind: 'bytes', bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes };
}

/** Bytes of content; 0 for all but regular files. */
export function bodySize(node: RootNode): number {
  if (node.body === undefined) return 0;
  return node.body.kind === 'bytes' ? node.body.bytes.length : node.body.size;
}
