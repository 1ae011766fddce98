/** A root tree as a tar archive, bodies streamed from where they lie. */

import type { TarHeaderEntry, TarKind } from '@osguard/formats/tar';
import { encodeTarHeader, tarPadding } from '@osguard/formats/tar';

import { BodyReader } from './bodies.ts';
import { bodySize } from './node.ts';
import type { NodeType, RootNode } from './node.ts';
import type { RootTree } from './root-tree.ts';

const kinds: Readonly<Record<Exclude<NodeType, 'socket'>, TarKind>> = {
  file: 'file',
  directory: 'directory',
  symlink: 'symlink',
  char: 'character-device',
  block: 'block-device',
  fifo: 'fifo',
};

export interface TreeArchiveOptions {
  /** Paths left out with all below them; default: none. */
  readonly without?: (path: string) => boolean;
}

const chunkSize = 1024 * 1024;

/** Chunks of the archive, end mark included; a chunk is valid until the next one is asked for. Sockets are left out. */
export function* treeArchive(tree: RootTree, { without }: TreeArchiveOptions = {}): Generator<Uint8Array> {
  using bodies = new BodyReader();
  const names = new Map<RootNode, string>();
  let left: string | undefined;
  for (const { path, node } of tree.walk()) {
    if (left !== undefined && path.startsWith(left)) continue;
    if (without?.(path) === true) {
      left = `${path}/`;
      continue;
    }
    if (node.type === 'socket') continue;
    const first = names.get(node);
    if (first === undefined) {
      names.set(node, path);
      yield encodeTarHeader(headerOf(path, node));
      yield* bodyChunks(node, bodies);
    } else yield encodeTarHeader({ ...headerOf(path, node), kind: 'hardlink', linkPath: first, size: 0 });
  }
  yield new Uint8Array(1024);
}

function headerOf(path: string, node: RootNode): TarHeaderEntry {
  const { mode, uid, gid, xattrs, target, device } = node;
  const kind = node.type === 'socket' ? 'file' : kinds[node.type];
  return {
    path,
    kind,
    mode,
    uid,
    gid,
    xattrs,
    mtime: { seconds: node.mtime, nanoseconds: 0 },
    size: bodySize(node),
    linkPath: target ?? '',
    major: device?.major ?? 0,
    minor: device?.minor ?? 0,
  };
}

function* bodyChunks(node: RootNode, bodies: BodyReader): Generator<Uint8Array> {
  const size = bodySize(node);
  for (let at = 0; at < size;) {
    // A chunk of its own each: a stream may still hold the one before.
    const chunk = Buffer.allocUnsafe(Math.min(chunkSize, size - at));
    bodies.readAt(node, chunk, at);
    yield chunk;
    at += chunk.length;
  }
  if (size % 512 !== 0) yield tarPadding(size);
}
