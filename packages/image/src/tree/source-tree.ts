/** A root tree as the composition of initrds and library closures look at it. */

import type { SourceNode, SourceTree } from '../initrd/source.ts';
import type { BodyReader } from './bodies.ts';
import type { NodeType } from './node.ts';
import type { RootTree } from './root-tree.ts';

const types: Readonly<Record<NodeType, SourceNode['type']>> = {
  file: 'file',
  directory: 'directory',
  symlink: 'symlink',
  char: 'character',
  block: 'block',
  fifo: 'fifo',
  socket: 'socket',
};

export function sourceTreeOf(tree: RootTree, bodies: BodyReader): SourceTree {
  return {
    names: (directory) => tree.names(directory),
    get(path) {
      const node = tree.get(path);
      if (node === undefined) return undefined;
      return {
        path,
        type: types[node.type],
        mode: node.mode,
        target: node.target,
        body: () => bodies.read(node),
      };
    },
  };
}
