/** What the composition of an initrd needs to know of an installed package tree: a few look-ups, no file system. */

import { OsguardError } from '@osguard/events';

export interface SourceNode {
  /** Without leading slash: `usr/lib/systemd/systemd`. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';
  /** Permission bits, 0..0o7777. */
  readonly mode: number;
  readonly target?: string | undefined;
  body(): Uint8Array;
}

export interface SourceTree {
  get(path: string): SourceNode | undefined;
  /** Names in a directory, in any order; empty when there is none. */
  names(directory: string): readonly string[];
}

const MAX_LINKS = 32;

/** Follows symbolic links in every component; undefined when something is missing on the way. */
export function resolveNode(tree: SourceTree, path: string): SourceNode | undefined {
  let pending = path.split('/').filter((part) => part !== '');
  let done: string[] = [];
  let links = 0;
  while (pending.length > 0) {
    const [part = '', ...rest] = pending;
    pending = rest;
    if (part === '.') continue;
    if (part === '..') {
      done.pop();
      continue;
    }
    const node = tree.get([...done, part].join('/'));
    if (node === undefined) return undefined;
    if (node.type !== 'symlink') {
      done.push(part);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return undefined;
    const target = node.target ?? '';
    if (target.startsWith('/')) done = [];
    pending = [...target.split('/').filter((step) => step !== ''), ...pending];
  }
  return tree.get(done.join('/'));
}

/** The regular file at `path`, links followed; an error that names what wanted it when there is none. */
export function requireFile(
  tree: SourceTree,
  path: string,
  options: { readonly wantedBy: string },
): SourceNode {
  const node = resolveNode(tree, path);
  if (node?.type === 'file') return node;
  throw new OsguardError(
    'initrd-file-missing',
    `${options.wantedBy} needs /${path}, which no package of this image installs`,
    {
      hint: 'add the package that ships it to `packages:` of the definition',
      data: { path },
    },
  );
}
