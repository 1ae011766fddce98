/** The tree a writer is told about, in memory: one small object per inode, none of the bodies. */

import { FormatError } from '../bytes/index.ts';
import type { ErofsType } from './layout.ts';
import { nullBlock } from './layout.ts';
import { encodeName, sortByName, splitPath } from './names.ts';
import type { XattrSet } from './xattr-pool.ts';
import { noXattrs } from './xattr-pool.ts';

/** What is known of an inode before it has a place. */
export interface TreeNode {
  readonly type: ErofsType;
  /** Permission bits only. */
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  mtimeNsec: number;
  xattrs: XattrSet;
  /** Bytes of content; for directories, known when the image is finished. */
  size: number;
  /** First block of the content, or the null block. */
  firstBlock: number;
  /** Bytes of content that are stored behind the inode instead of in blocks. */
  tailSize: number;
  /** Where the tail waits: a handle of the tail store; or a symlink's target, wherever it is stored. */
  tail: number | Uint8Array | undefined;
  rdev: number;
  readonly children: Map<string, TreeNode> | undefined;
  nlink: number;
  ino: number;
  /** Of the inode in the inode area. Bytes. */
  offset: number;
}

export interface TreeEntry {
  readonly name: string;
  readonly node: TreeNode;
}

export interface TreeDirectory {
  readonly node: TreeNode;
  /** `.`, `..` and the children, sorted by the bytes of their names. */
  readonly entries: readonly TreeEntry[];
}

export interface TreeProbe {
  /** How many of the components there are. */
  readonly depth: number;
  /** What the last of them is. */
  readonly node: TreeNode;
}

export interface Times {
  readonly mtime: number;
  readonly mtimeNsec: number;
}

export class Tree {
  readonly root: TreeNode;
  readonly #times: Times;
  readonly #rootChildren: Map<string, TreeNode>;
  #lastPath: string | undefined;
  #lastChildren: Map<string, TreeNode>;

  /** @param times of directories nobody described */
  constructor(times: Times) {
    this.#times = times;
    this.root = this.#implicitDirectory();
    this.#rootChildren = this.root.children ?? new Map<string, TreeNode>();
    this.#lastChildren = this.#rootChildren;
  }

  find(path: string): TreeNode | undefined {
    let node: TreeNode | undefined = this.root;
    for (const name of splitPath(path)) node = node?.children?.get(name);
    return node;
  }

  /** Goes down the path while there are directories; as far as it comes. */
  probe(names: readonly string[]): TreeProbe {
    let node = this.root;
    for (const [depth, name] of names.entries()) {
      const next = node.children?.get(name);
      if (next === undefined) return { depth, node };
      node = next;
    }
    return { depth: names.length, node };
  }

  /** Adds a node, and directories on the way to it; a directory may be described again, nothing else may. */
  insert(path: string, node: TreeNode): void {
    const split = path.lastIndexOf('/');
    const name = path.slice(split + 1);
    const siblings = name === '' ? undefined : this.#directory(path.slice(0, Math.max(0, split)));
    const known = siblings === undefined ? this.find(path) : siblings.get(name);
    if (known?.children !== undefined && node.type === 'directory') {
      const { mode, uid, gid, mtime, mtimeNsec, xattrs } = node;
      Object.assign(known, { mode, uid, gid, mtime, mtimeNsec, xattrs });
      return;
    }
    if (known !== undefined || siblings === undefined) {
      throw new FormatError(
        'not-encodable',
        `${path || '/'} cannot be added: ${known?.type ?? 'nothing'} is there`,
      );
    }
    encodeName(name);
    siblings.set(name, node);
  }

  /** What a directory holds; it is made when it is not there. Files come directory by directory, so the last is kept. */
  #directory(path: string): Map<string, TreeNode> {
    if (path === this.#lastPath) return this.#lastChildren;
    let children = this.#rootChildren;
    for (const name of splitPath(path)) {
      let next = children.get(name);
      if (next === undefined) {
        encodeName(name);
        next = this.#implicitDirectory();
        children.set(name, next);
      }
      if (next.children === undefined) {
        throw new FormatError('not-encodable', `${path}: ${JSON.stringify(name)} is not a directory`);
      }
      ({ children } = next);
    }
    this.#lastPath = path;
    this.#lastChildren = children;
    return children;
  }

  /** Takes a name out again, with everything below it. */
  remove(path: string): boolean {
    const names = splitPath(path);
    const parent = this.find(names.slice(0, -1).join('/'));
    this.#lastPath = undefined;
    return parent?.children?.delete(names.at(-1) ?? '') ?? false;
  }

  /**
   * Every inode once, each directory followed by its entries' inodes before any of those is entered, so that what
   * one listing asks for lies together. Counts links and numbers the inodes on the way.
   */
  arrange(): { readonly nodes: readonly TreeNode[]; readonly directories: readonly TreeDirectory[] } {
    const nodes: TreeNode[] = [];
    const directories: TreeDirectory[] = [];
    const number = (node: TreeNode): void => {
      nodes.push(node);
      node.ino = nodes.length;
    };
    number(this.root);
    const stack = [{ node: this.root, parent: this.root }];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const { node, parent } = top;
      // One list for all that is done with it: of large trees these lists are most of what is in memory.
      const entries: TreeEntry[] = [
        { name: '.', node },
        { name: '..', node: parent },
      ];
      for (const [name, child] of node.children ?? []) entries.push({ name, node: child });
      sortByName(entries);
      node.nlink = 2;
      for (const entry of entries) {
        const { node: child } = entry;
        if (isDots(entry)) continue;
        if (child.ino === 0) number(child);
        if (child.children === undefined) child.nlink += 1;
        else node.nlink += 1;
      }
      for (let index = entries.length - 1; index >= 0; index -= 1) {
        const entry = entries[index];
        if (entry?.node.children !== undefined && !isDots(entry)) {
          stack.push({ node: entry.node, parent: node });
        }
      }
      directories.push({ node, entries });
    }
    return { nodes, directories };
  }

  #implicitDirectory(): TreeNode {
    return newNode('directory', { mode: 0o755, uid: 0, gid: 0, ...this.#times, xattrs: noXattrs });
  }
}

function isDots({ name }: TreeEntry): boolean {
  return name === '.' || name === '..';
}

export type NodeMetadata = Pick<TreeNode, 'mode' | 'uid' | 'gid' | 'mtime' | 'mtimeNsec' | 'xattrs'>;

export function newNode(type: ErofsType, metadata: NodeMetadata): TreeNode {
  return {
    type,
    mode: metadata.mode,
    uid: metadata.uid,
    gid: metadata.gid,
    mtime: metadata.mtime,
    mtimeNsec: metadata.mtimeNsec,
    xattrs: metadata.xattrs,
    size: 0,
    firstBlock: nullBlock,
    tailSize: 0,
    tail: undefined,
    rdev: 0,
    children: type === 'directory' ? new Map<string, TreeNode>() : undefined,
    nlink: 0,
    ino: 0,
    offset: -1,
  };
}
