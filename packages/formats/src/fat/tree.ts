/** The tree behind a list of paths, and how its folders are stored (32-byte entries, long names before). */

import type { ByteSource } from '../bytes/index.ts';
import { ByteWriter, FormatError } from '../bytes/index.ts';
import {
  exactShortName,
  foldName,
  inventShortName,
  isExactShortName,
  longNameProblem,
  shortKey,
  shortNameChecksum,
  unitsPerEntry,
} from './names.ts';
import { encodeFatTime } from './time.ts';

export const entrySize = 32;
/** Bits of the attribute byte that matter here. */
export const attribute = { volumeId: 8, directory: 16, archive: 32 } as const;
export const longNameAttribute = 0x0f;
/** The specification's limit of a folder: 65,536 entries. Bytes. */
export const maxDirectorySize = 2_097_152;
const maxFileSize = 0xffff_ffff;

export interface FatFile {
  /** Slash-separated, relative: `EFI/BOOT/BOOTX64.EFI`. Folders on the way are made. */
  readonly path: string;
  /** Absent makes an empty folder. At most 4 GiB - 1. */
  readonly body?: ByteSource;
  /** Seconds since 1970 UTC; the volume's time when absent. */
  readonly mtime?: number;
}

export interface TreeFile {
  readonly body: ByteSource;
  readonly mtime: number;
  cluster: number;
}

export interface TreeDirectory {
  readonly children: Map<string, { readonly name: string; readonly node: TreeFile | TreeDirectory }>;
  readonly parent: TreeDirectory | undefined;
  /** Of the volume; only in the root. */
  readonly label: string;
  mtime: number;
  cluster: number;
}

export interface FatTree {
  /** The root first, parents before children, siblings in name order. */
  readonly directories: readonly TreeDirectory[];
  /** Files in the order of their folders. */
  readonly files: readonly TreeFile[];
}

/** @throws FormatError (`not-encodable`) for names FAT cannot hold, or two that differ in case only. */
export function buildTree(
  files: readonly FatFile[],
  volume: { readonly label: string; readonly mtime: number },
): FatTree {
  const root: TreeDirectory = {
    children: new Map(),
    parent: undefined,
    label: volume.label,
    mtime: volume.mtime,
    cluster: 0,
  };
  for (const { path, body, mtime = volume.mtime } of files) {
    const parts = path.split('/');
    const leaf = parts.pop() ?? '';
    const fail = (message: string): FormatError =>
      new FormatError('not-encodable', `${JSON.stringify(path)} ${message}`);
    let folder = root;
    for (const part of parts) folder = openFolder(folder, { name: part, mtime: volume.mtime, fail });
    if (body === undefined) {
      openFolder(folder, { name: leaf, mtime, fail }).mtime = mtime;
      continue;
    }
    if (body.size > maxFileSize) throw fail(`has ${body.size} bytes, FAT takes at most ${maxFileSize}`);
    addChild(folder, { name: leaf, node: { body, mtime, cluster: 0 }, fail });
  }
  const tree: FatTree & { directories: TreeDirectory[]; files: TreeFile[] } = { directories: [], files: [] };
  collect(root, tree);
  return tree;
}

type Fail = (message: string) => FormatError;

function openFolder(
  parent: TreeDirectory,
  { name, mtime, fail }: { readonly name: string; readonly mtime: number; readonly fail: Fail },
): TreeDirectory {
  const known = parent.children.get(foldName(name));
  if (known === undefined) {
    const node: TreeDirectory = { children: new Map(), parent, label: '', mtime, cluster: 0 };
    addChild(parent, { name, node, fail });
    return node;
  }
  if (!isDirectory(known.node)) throw fail('lies in a file');
  if (known.name !== name) throw fail(`differs from ${JSON.stringify(known.name)} in case only`);
  return known.node;
}

function addChild(
  parent: TreeDirectory,
  {
    name,
    node,
    fail,
  }: { readonly name: string; readonly node: TreeFile | TreeDirectory; readonly fail: Fail },
): void {
  const problem = longNameProblem(name);
  if (problem !== undefined) throw fail(problem);
  const key = foldName(name);
  if (parent.children.has(key)) throw fail('is there twice (FAT ignores case)');
  parent.children.set(key, { name, node });
}

function isDirectory(node: TreeFile | TreeDirectory): node is TreeDirectory {
  return 'children' in node;
}

function collect(
  root: TreeDirectory,
  tree: { readonly directories: TreeDirectory[]; readonly files: TreeFile[] },
): void {
  tree.directories.push(root);
  // The list grows while it is walked: every folder appends its own.
  for (const directory of tree.directories) {
    for (const { node } of sorted(directory)) {
      if (isDirectory(node)) tree.directories.push(node);
      else tree.files.push(node);
    }
  }
}

function sorted(
  directory: TreeDirectory,
): readonly { readonly name: string; readonly node: TreeFile | TreeDirectory }[] {
  return [...directory.children.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Bytes of the entries of a folder; at least one, so that it has a cluster. */
export function directorySize(directory: TreeDirectory): number {
  let entries = directory.parent === undefined ? (directory.label === '' ? 0 : 1) : 2;
  for (const { name } of directory.children.values()) entries += 1 + longEntries(name);
  if (entries * entrySize > maxDirectorySize) {
    throw new FormatError(
      'not-encodable',
      `a folder of ${directory.children.size} files is too large for FAT`,
    );
  }
  return Math.max(entries, 1) * entrySize;
}

function longEntries(name: string): number {
  return isExactShortName(name) ? 0 : Math.ceil(name.length / unitsPerEntry);
}

/** Clusters of the folder and of all it holds must have been set. */
export function encodeDirectory(directory: TreeDirectory): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter({ capacity: directorySize(directory) });
  const { parent, label, mtime } = directory;
  if (parent === undefined) {
    if (label !== '') {
      writeEntry(writer, {
        short: padded(label),
        attributes: attribute.volumeId,
        mtime,
        cluster: 0,
        size: 0,
      });
    }
  } else {
    const dots = { attributes: attribute.directory, size: 0 };
    writeEntry(writer, { ...dots, short: padded('.'), mtime, cluster: directory.cluster });
    // The root is written as cluster 0 here, wherever it really is.
    const up = parent.parent === undefined ? 0 : parent.cluster;
    writeEntry(writer, { ...dots, short: padded('..'), mtime: parent.mtime, cluster: up });
  }
  const children = sorted(directory);
  const taken = new Set<string>();
  for (const { name } of children) {
    const exact = exactShortName(name);
    if (exact !== undefined) taken.add(shortKey(exact));
  }
  for (const { name, node } of children) {
    const short = exactShortName(name) ?? inventShortName(name, taken);
    if (!isExactShortName(name)) writeLongName(writer, name, shortNameChecksum(short));
    writeEntry(writer, {
      short,
      attributes: isDirectory(node) ? attribute.directory : attribute.archive,
      mtime: node.mtime,
      cluster: node.cluster,
      size: isDirectory(node) ? 0 : node.body.size,
    });
  }
  return writer.length === 0 ? new Uint8Array(entrySize) : writer.finish();
}

function writeEntry(
  writer: ByteWriter,
  entry: {
    readonly short: Uint8Array;
    readonly attributes: number;
    readonly mtime: number;
    readonly cluster: number;
    readonly size: number;
  },
): void {
  const { date, time, hundredths } = encodeFatTime(entry.mtime);
  writer
    .bytes(entry.short)
    .u8(entry.attributes)
    .u8(0)
    .u8(hundredths)
    .u16(time)
    .u16(date)
    .u16(date)
    .u16(entry.cluster >>> 16)
    .u16(time)
    .u16(date)
    .u16(entry.cluster & 0xffff)
    .u32(entry.size);
}

/** The pieces of a long name come last first, each with the checksum of the short name that follows. */
function writeLongName(writer: ByteWriter, name: string, checksum: number): void {
  const count = longEntries(name);
  const units = Array.from({ length: count * unitsPerEntry }, (_, i) => {
    if (i < name.length) return name.charCodeAt(i);
    return i === name.length ? 0 : 0xffff;
  });
  for (let ordinal = count; ordinal >= 1; ordinal -= 1) {
    const piece = units.slice((ordinal - 1) * unitsPerEntry, ordinal * unitsPerEntry);
    writer.u8(ordinal === count ? ordinal | 0x40 : ordinal);
    for (const unit of piece.slice(0, 5)) writer.u16(unit);
    writer.u8(longNameAttribute).u8(0).u8(checksum);
    for (const unit of piece.slice(5, 11)) writer.u16(unit);
    writer.u16(0);
    for (const unit of piece.slice(11)) writer.u16(unit);
  }
}

function padded(short: string): Uint8Array {
  return Buffer.from(short.padEnd(11), 'latin1');
}
