/**
 * A signed volume in memory: EROFS, the dm-verity superblock and tree appended. The prover makes the intruder's own
 * volume and the ones he tries to open with it.
 */

import { createHash } from 'node:crypto';
import { ErofsWriter } from '@osguard/formats/erofs';
import type { RootHash } from '@osguard/formats/verity';
import { encodeVeritySuperblock, formatVerityTree, verityGeometry } from '@osguard/formats/verity';

export interface VolumeFile {
  /** Relative, slash-separated. */
  readonly path: string;
  readonly body: Uint8Array;
  /** Permission bits; 0644 unless told otherwise. */
  readonly mode?: number;
}

export interface VolumeLink {
  readonly path: string;
  readonly target: string;
}

export interface VolumeContent {
  readonly files: readonly VolumeFile[];
  readonly links?: readonly VolumeLink[];
  /** SELinux context of a path. */
  readonly label: (path: string) => string;
  /** Makes volumes with the same files different. */
  readonly salt: string;
}

export interface Volume {
  /** Data, superblock and tree: what the block device holds. */
  readonly bytes: Uint8Array;
  /** Where the superblock begins. Bytes. */
  readonly hashOffset: number;
  readonly rootHash: RootHash;
}

const blockSize = 4096;

export function buildVolume(content: VolumeContent): Volume {
  const salt = createHash('sha256').update(content.salt).digest();
  const data = writeErofs(content, salt.subarray(0, 16));
  const dataBlocks = data.length / blockSize;
  const geometry = verityGeometry({ dataBlocks, hashOffset: data.length });
  const { rootHash, tree } = formatVerityTree(blocksOf(data), {
    geometry,
    hash: (block) => createHash('sha256').update(salt).update(block).digest(),
  });
  const superblock = encodeVeritySuperblock({
    hashType: 1,
    uuid: '00000000-0000-0000-0000-000000000000',
    algorithm: 'sha256',
    dataBlockSize: blockSize,
    hashBlockSize: blockSize,
    dataBlocks,
    salt,
  });
  const bytes = new Uint8Array(geometry.hashEnd);
  bytes.set(data);
  bytes.set(superblock, data.length);
  bytes.set(tree, geometry.treeOffset);
  return { bytes, hashOffset: data.length, rootHash };
}

function* blocksOf(data: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < data.length; at += blockSize) yield data.subarray(at, at + blockSize);
}

function writeErofs({ files, links = [], label }: VolumeContent, uuid: Uint8Array): Uint8Array {
  const chunks: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  const sink = {
    write: (offset: number, bytes: Uint8Array) => void chunks.push({ offset, bytes: Uint8Array.from(bytes) }),
  };
  const writer = new ErofsWriter(sink, { uuid, buildTime: 0 });
  const labelled = (
    path: string,
    mode: number,
  ): { mode: number; uid: 0; gid: 0; mtime: 0; xattrs: Map<string, Uint8Array> } => ({
    mode,
    uid: 0,
    gid: 0,
    mtime: 0,
    xattrs: new Map([['security.selinux', Buffer.from(`${label(path)}\0`)]]),
  });
  for (const path of foldersOf([...files, ...links])) {
    writer.add(`/${path}`, { type: 'directory', ...labelled(path, 0o755) });
  }
  for (const { path, body, mode = 0o644 } of files) {
    const file = writer.openFile(`/${path}`, { type: 'file', size: body.length, ...labelled(path, mode) });
    file.push(body);
  }
  for (const { path, target } of links) {
    writer.add(`/${path}`, { type: 'symlink', target, ...labelled(path, 0o777) });
  }
  const { size } = writer.finish();
  const image = new Uint8Array(size);
  for (const { offset, bytes } of chunks) image.set(bytes, offset);
  return image;
}

/** Every folder on the way to the entries, parents first, the root included. */
function foldersOf(entries: readonly { readonly path: string }[]): readonly string[] {
  const folders = new Set(['']);
  for (const { path } of entries) {
    const parts = path.split('/').slice(0, -1);
    for (const [index] of parts.entries()) folders.add(parts.slice(0, index + 1).join('/'));
  }
  return [...folders].sort();
}
