/**
 * The root file system of an image as a tree in memory, file bodies elsewhere. Nothing is mounted and nothing needs
 * rights: owners, devices and attributes are just fields. Paths have no leading slash; the root is the empty path.
 */

import { bytesBody, makeNode } from './node.ts';
import type { NewNode, RootNode } from './node.ts';

interface Directory {
  readonly node: RootNode;
  readonly children: Map<string, Entry>;
}

type Entry = Directory | { readonly node: RootNode; readonly children: undefined };

export interface TreeEntry {
  readonly path: string;
  readonly node: RootNode;
}

/** Two names of different types in one place, or a path through something that is not a directory. */
export class TreeError extends Error {
  override readonly name = 'TreeError';
}

const mostLinks = 40;

export class RootTree {
  readonly #root: Directory;

  constructor(root: NewNode = { type: 'directory' }) {
    this.#root = { node: makeNode(root), children: new Map<string, Entry>() };
  }

  get root(): RootNode {
    return this.#root.node;
  }

  /** The node at this very path; symbolic links are not followed. */
  get(path: string): RootNode | undefined {
    return this.#find(path)?.node;
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /** Names in a directory in byte order; empty when it is none. */
  names(path: string): readonly string[] {
    const children = this.#find(path)?.children;
    return children === undefined ? [] : sortNames([...children.keys()]);
  }

  /** The path `path` leads to when symbolic links are followed in every component, or undefined. */
  resolve(path: string): string | undefined {
    let pending = split(path);
    const done: string[] = [];
    let links = 0;
    while (pending.length > 0) {
      const [part = '', ...rest] = pending;
      pending = rest;
      if (part === '.') continue;
      if (part === '..') {
        done.pop();
        continue;
      }
      const node = this.get([...done, part].join('/'));
      if (node === undefined) return undefined;
      if (node.type !== 'symlink') {
        done.push(part);
        continue;
      }
      links += 1;
      if (links > mostLinks) return undefined;
      const target = node.target ?? '';
      if (target.startsWith('/')) done.length = 0;
      pending = [...split(target), ...pending];
    }
    return done.join('/');
  }

  /** Like {@link get}, links followed. */
  lookup(path: string): RootNode | undefined {
    const real = this.resolve(path);
    return real === undefined ? undefined : this.get(real);
  }

  /**
   * Puts a node in place, with directories (0755, root) on the way. What was there is replaced, except that a
   * directory put over a directory keeps its entries.
   * @throws TreeError when a directory would be replaced by something else, or the way leads through a file
   */
  put(path: string, node: RootNode): RootNode {
    const names = split(path);
    const last = names.pop();
    if (last === undefined) {
      if (node.type !== 'directory') throw new TreeError('the root is a directory');
      Object.assign(this.#root.node, node);
      return this.#root.node;
    }
    assertName(last, path);
    const parent = this.#directory(names, path);
    const known = parent.children.get(last);
    if (known?.children !== undefined) {
      if (node.type !== 'directory')
        throw new TreeError(`/${path} is a directory and cannot become a ${node.type}`);
      Object.assign(known.node, node);
      return known.node;
    }
    const children = node.type === 'directory' ? new Map<string, Entry>() : undefined;
    parent.children.set(last, { node, children });
    return node;
  }

  /** A file whose bytes are given, or a directory or link: the short forms of {@link put}. */
  putFile(path: string, bytes: Uint8Array | string, options: Omit<NewNode, 'type' | 'body'> = {}): RootNode {
    return this.put(path, makeNode({ type: 'file', ...options, body: bytesBody(bytes) }));
  }

  putLink(path: string, target: string, options: Omit<NewNode, 'type' | 'target'> = {}): RootNode {
    return this.put(path, makeNode({ type: 'symlink', ...options, target }));
  }

  putDirectory(path: string, options: Omit<NewNode, 'type'> = {}): RootNode {
    return this.put(path, makeNode({ type: 'directory', ...options }));
  }

  /** Gives the file at `existing` a second name. */
  hardLink(path: string, existing: string): void {
    const node = this.get(existing);
    if (node === undefined || node.type === 'directory') {
      throw new TreeError(
        `/${path} is a hard link to /${existing}, which is ${node === undefined ? 'not there' : 'a directory'}`,
      );
    }
    this.put(path, node);
  }

  /** Takes a node away with all below it; false when there was none. */
  remove(path: string): boolean {
    const names = split(path);
    const last = names.pop();
    if (last === undefined) throw new TreeError('the root cannot be removed');
    return this.#find(names.join('/'))?.children?.delete(last) ?? false;
  }

  /** Moves a node with all below it; what was at `to` is replaced. */
  rename(from: string, to: string): void {
    const entry = this.#find(from);
    const names = split(to);
    const last = names.pop();
    if (entry === undefined || last === undefined) throw new TreeError(`/${from} cannot become /${to}`);
    if (`${to}/`.startsWith(`${from}/`)) throw new TreeError(`/${from} cannot move into itself`);
    assertName(last, to);
    const parent = this.#directory(names, to);
    this.remove(from);
    parent.children.set(last, entry);
  }

  /** Every name below `start` but not itself, directories before their entries, names in byte order. */
  *walk(start = ''): Generator<TreeEntry> {
    const entry = this.#find(start);
    if (entry?.children === undefined) return;
    const stack = [
      {
        prefix: start === '' ? '' : `${start}/`,
        names: sortNames([...entry.children.keys()]),
        entry,
        next: 0,
      },
    ];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const name = top.names[top.next];
      top.next += 1;
      if (name === undefined) {
        stack.pop();
        continue;
      }
      const child = top.entry.children?.get(name);
      // Removed while walking.
      if (child === undefined) continue;
      const path = top.prefix + name;
      yield { path, node: child.node };
      if (child.children === undefined) continue;
      stack.push({ prefix: `${path}/`, names: sortNames([...child.children.keys()]), entry: child, next: 0 });
    }
  }

  /** A tree of its own that shares the bodies: changing one does not change the other. */
  clone(): RootTree {
    const copies = new Map<RootNode, RootNode>();
    const tree = new RootTree({ ...this.#root.node });
    for (const { path, node } of this.walk()) {
      const copy = copies.get(node) ?? { ...node };
      copies.set(node, copy);
      tree.put(path, copy);
    }
    return tree;
  }

  #find(path: string): Entry | undefined {
    let entry: Entry | undefined = this.#root;
    for (const name of split(path)) entry = entry?.children?.get(name);
    return entry;
  }

  #directory(names: readonly string[], path: string): Directory {
    let directory = this.#root;
    for (const name of names) {
      let next = directory.children.get(name);
      if (next === undefined) {
        assertName(name, path);
        next = { node: makeNode({ type: 'directory', mtime: this.#root.node.mtime }), children: new Map() };
        directory.children.set(name, next);
      }
      if (next.children === undefined)
        throw new TreeError(`/${path} leads through ${name}, which is a ${next.node.type}`);
      directory = next;
    }
    return directory;
  }
}

function split(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

function assertName(name: string, path: string): void {
  if (name === '.' || name === '..' || name.includes('\0'))
    throw new TreeError(`/${path} is not a path of a tree`);
}

/** By the bytes of the names, as file systems sort. UTF-16 order differs from it only beyond the basic plane. */
function sortNames(names: string[]): string[] {
  return names.sort(
    surrogates.test(names.join('')) ? (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) : undefined,
  );
}

const surrogates = /[\ud800-\udfff]/;
