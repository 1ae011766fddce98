/** A tar archive on disk as a root tree; bodies stay in the archive. */

import { openSync, closeSync, readSync } from 'node:fs';
import type { TarReadEntry } from '@osguard/formats/tar';
import { createTarReader } from '@osguard/formats/tar';

import { makeNode, RootTree } from '../tree/index.ts';
import type { NodeType, RootNode } from '../tree/index.ts';

const types: Readonly<Record<Exclude<TarReadEntry['kind'], 'hardlink'>, NodeType>> = {
  file: 'file',
  directory: 'directory',
  symlink: 'symlink',
  'character-device': 'char',
  'block-device': 'block',
  fifo: 'fifo',
};

/** Smaller reads cost more calls than bytes. */
const chunkSize = 4 * 1024 * 1024;

/** @throws FormatError, TreeError */
export function loadTree(tar: string): RootTree {
  const tree = new RootTree();
  const reader = createTarReader({
    entry: (entry) => addEntry(tree, entry, tar),
    data: () => undefined,
    entryEnd: () => undefined,
  });
  const fd = openSync(tar, 'r');
  try {
    const buffer = Buffer.allocUnsafe(chunkSize);
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      reader.push(buffer.subarray(0, count));
    }
    reader.end();
  } finally {
    closeSync(fd);
  }
  return tree;
}

function addEntry(tree: RootTree, entry: TarReadEntry, tar: string): void {
  const path = clean(entry.path);
  if (entry.kind === 'hardlink') {
    tree.hardLink(path, clean(entry.linkPath));
    return;
  }
  const { mode, uid, gid, xattrs, size, major, minor } = entry;
  const type = types[entry.kind];
  const node: RootNode = makeNode({
    type,
    mode: mode & 0o7777,
    uid,
    gid,
    mtime: entry.mtime.seconds,
    xattrs,
  });
  if (type === 'file') node.body = { kind: 'range', path: tar, offset: entry.bodyOffset, size };
  else if (type === 'symlink') node.target = entry.linkPath;
  else if (type === 'char' || type === 'block') node.device = { major, minor };
  tree.put(path, node);
}

function clean(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}
