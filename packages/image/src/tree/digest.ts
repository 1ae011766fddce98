/** One number for a whole tree: names, metadata, links and bodies. Two trees with one digest build the same image. */

import { createHash } from 'node:crypto';

import { BodyReader } from './bodies.ts';
import { bodySize } from './node.ts';
import type { RootNode } from './node.ts';
import type { RootTree } from './root-tree.ts';

/** A line for every name; equal lines mean equal entries. */
export function* describeTree(tree: RootTree): Generator<string> {
  using bodies = new BodyReader();
  const seen = new Map<RootNode, string>();
  const buffer = Buffer.allocUnsafe(1 << 20);
  yield line('.', tree.root, '');
  for (const { path, node } of tree.walk()) {
    const first = seen.get(node);
    if (node.type !== 'directory') seen.set(node, first ?? path);
    if (first !== undefined) {
      yield `${JSON.stringify(path)} = ${JSON.stringify(first)}`;
      continue;
    }
    yield line(path, node, node.type === 'file' ? digestBody(node, bodies, buffer) : '');
  }
}

/** Lower-case hexadecimal sha256. */
export function treeDigest(tree: RootTree): string {
  const hash = createHash('sha256');
  for (const entry of describeTree(tree)) hash.update(`${entry}\n`);
  return hash.digest('hex');
}

function line(path: string, node: RootNode, body: string): string {
  const { type, mode, uid, gid, mtime, target, device, xattrs } = node;
  const attributes = [...xattrs]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [name, Buffer.from(value).toString('hex')]);
  return JSON.stringify([
    path,
    type,
    mode.toString(8),
    uid,
    gid,
    mtime,
    target ?? '',
    device ?? '',
    attributes,
    body,
  ]);
}

function digestBody(node: RootNode, bodies: BodyReader, buffer: Uint8Array): string {
  const hash = createHash('sha256');
  const fill = bodies.filler(node);
  for (let count = fill(buffer); count > 0; count = fill(buffer)) hash.update(buffer.subarray(0, count));
  return `${bodySize(node)}:${hash.digest('hex')}`;
}
