/** A root tree as the composition of initrds and library closures look at it. */

import type { SourceTree } from '../initrd/source.ts';
import type { BodyReader } from './bodies.ts';
import { typeNames } from './node.ts';
import type { RootTree } from './root-tree.ts';

export function sourceTreeOf(tree: RootTree, bodies: BodyReader): SourceTree {
  return {
    names: (directory) => tree.names(directory),
    resolve: (path) => tree.resolve(path),
    get(path) {
      const node = tree.get(path);
      if (node === undefined) return undefined;
      return {
        path,
        type: typeNames[node.type],
        mode: node.mode,
        target: node.target,
        body: () => bodies.read(node),
      };
    },
  };
}
