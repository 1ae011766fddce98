/** A tree of lines, as tree(1) draws it. Labels are taken as they are: use `printable` on foreign text. */

import type { Paint } from './paint.ts';

export interface TreeNode {
  readonly label: string;
  readonly children?: readonly TreeNode[];
}

/** Lines without the last newline. */
export function renderTree(root: TreeNode, paint: Paint): string {
  return [root.label, ...branches(root.children ?? [], '', paint)].join('\n');
}

function* branches(nodes: readonly TreeNode[], indent: string, paint: Paint): Generator<string> {
  const [fork, last, through] = paint.unicode ? ['├─ ', '└─ ', '│  '] : ['|- ', '`- ', '|  '];
  for (const [index, node] of nodes.entries()) {
    const isLast = index === nodes.length - 1;
    yield paint.dim(indent + (isLast ? last : fork)) + node.label;
    yield* branches(node.children ?? [], indent + (isLast ? '   ' : through), paint);
  }
}
