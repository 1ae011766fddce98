/** /usr as an EROFS image and its dm-verity tree, in one pass over the files, labelled on the way. */

import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import type { ErofsMetadata, ErofsOtherEntry } from '@osguard/formats/erofs';
import type { FileContexts } from '@osguard/formats/selinux';
import type { RootHash } from '@osguard/formats/verity';
import type { ImageEntry, ImageFile } from '../erofs/index.ts';
import { writeErofsImage } from '../erofs/index.ts';
import { ImageError } from '../error.ts';
import { writeFully } from '../files/write.ts';
import type { RootNode, RootTree } from '../tree/index.ts';
import { BodyReader, bodySize, typeNames } from '../tree/index.ts';
import { createTreeBuilder } from '../verity/index.ts';

export interface WriteUsrOptions {
  /** Files to make: the image and the hash tree (superblock first). */
  readonly imagePath: string;
  readonly treePath: string;
  readonly labels: FileContexts;
  /** 32 bytes that salt the hash tree and name the volume; a function of the definition, never random. */
  readonly salt: Uint8Array;
  /** Seconds since 1970. */
  readonly sourceDateEpoch: number;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface WrittenUsr {
  readonly rootHash: RootHash;
  /** Bytes of the image. */
  readonly size: number;
  /** Bytes of the hash tree with its superblock. */
  readonly treeSize: number;
  readonly inodes: number;
}

/** @throws ImageError (`cancelled`) when the signal came; system errors pass through. */
export function writeUsr(tree: RootTree, options: WriteUsrOptions): WrittenUsr {
  const { salt, sourceDateEpoch, onProgress, signal } = options;
  using bodies = new BodyReader();
  const entries = [...usrEntries(tree, { bodies, labels: options.labels })];
  const total = entries.reduce(
    (sum, entry) => sum + (entry.type === 'file' && 'size' in entry.body ? entry.body.size : 0),
    0,
  );
  using verity = createTreeBuilder({ salt, uuid: uuidOf(salt), hashOffset: 0 });
  const fd = openSync(options.imagePath, 'wx');
  let summary: ReturnType<typeof writeErofsImage>;
  try {
    summary = writeErofsImage(entries, {
      fd,
      uuid: salt.subarray(0, 16),
      buildTime: sourceDateEpoch,
      volumeName: 'usr',
      onChunk(offset, bytes) {
        if (signal?.aborted === true) throw new ImageError('cancelled', 'cancelled while /usr was written');
        if (offset === verity.size) verity.push(bytes);
        else verity.patch(offset / 4096, bytes);
        onProgress?.(Math.min(offset + bytes.length, total), total);
      },
    });
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  const { rootHash, geometry, pieces } = verity.finish();
  writePieces(options.treePath, pieces);
  return { rootHash, size: summary.size, treeSize: geometry.hashEnd, inodes: summary.inodes };
}

function writePieces(path: string, pieces: readonly Uint8Array[]): void {
  const fd = openSync(path, 'wx');
  try {
    let at = 0;
    for (const piece of pieces) {
      writeFully(fd, piece, at);
      at += piece.length;
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

interface UsrSource {
  readonly bodies: BodyReader;
  readonly labels: FileContexts;
}

function* usrEntries(tree: RootTree, { bodies, labels }: UsrSource): Generator<ImageEntry> {
  const first = new Map<RootNode, string>();
  const top = tree.get('usr');
  if (top?.type !== 'directory') throw new ImageError('incomplete-root', 'there is no /usr');
  for (const { path, node } of [{ path: 'usr', node: top }, ...tree.walk('usr')]) {
    const inImage = path === 'usr' ? '/' : path.slice('usr'.length);
    const earlier = first.get(node);
    if (earlier !== undefined) {
      yield { path: inImage, type: 'link', target: earlier };
      continue;
    }
    if (node.type !== 'directory') first.set(node, inImage);
    const metadata = {
      mode: node.mode,
      uid: node.uid,
      gid: node.gid,
      mtime: node.mtime,
      xattrs: xattrsOf(node, path, labels),
    };
    if (node.type === 'file') {
      const file: ImageFile = {
        type: 'file',
        ...metadata,
        body: { size: bodySize(node), fill: bodies.filler(node) },
      };
      yield { path: inImage, ...file };
    } else {
      yield { path: inImage, ...otherEntry(node, { path, metadata }) };
    }
  }
}

function otherEntry(
  node: RootNode,
  { path, metadata }: { readonly path: string; readonly metadata: ErofsMetadata },
): ErofsOtherEntry {
  switch (node.type) {
    case 'symlink':
      return { ...metadata, type: 'symlink', target: node.target ?? '' };
    case 'char':
    case 'block':
      if (node.device === undefined)
        throw new ImageError('incomplete-root', `/${path}: a device without number`);
      return { ...metadata, type: node.type, ...node.device };
    case 'directory':
    case 'fifo':
    case 'socket':
      return { ...metadata, type: node.type };
    case 'file':
      throw new ImageError('incomplete-root', `/${path}: a file is no other entry`);
  }
}

/** The label replaces whatever the package tree carried: only file_contexts of the image decides. */
function xattrsOf(node: RootNode, path: string, labels: FileContexts): ReadonlyMap<string, Uint8Array> {
  const label = labels.labelFor(`/${path}`, typeNames[node.type]);
  const xattrs = new Map(node.xattrs);
  xattrs.delete('security.selinux');
  if (label !== undefined) xattrs.set('security.selinux', Buffer.from(`${label}\0`));
  return xattrs;
}

/** The superblock's UUID as text, version 8 (RFC 9562): it is derived, not random. */
function uuidOf(salt: Uint8Array): string {
  const hex = Buffer.from(salt.subarray(0, 16)).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The salt of the hash tree: fixed by what the image is called, so that the same definition gives the same bits. */
export function usrSalt({ name, version }: { readonly name: string; readonly version: string }): Uint8Array {
  return createHash('sha256').update(`osguard /usr ${name} ${version}`).digest();
}
