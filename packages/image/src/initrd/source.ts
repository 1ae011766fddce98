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
  /** The path this one leads to when links are followed in every component, or undefined. */
  resolve(path: string): string | undefined;
  /** Names in a directory, in any order; empty when there is none. */
  names(directory: string): readonly string[];
}

/** Follows symbolic links in every component; undefined when something is missing on the way. */
export function resolveNode(tree: SourceTree, path: string): SourceNode | undefined {
  const resolved = tree.resolve(path);
  return resolved === undefined ? undefined : tree.get(resolved);
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
