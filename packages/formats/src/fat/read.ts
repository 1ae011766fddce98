/**
 * Reads FAT12, FAT16 and FAT32 volumes, for ESPs made by anyone. The whole tree and all its cluster chains
 * are checked when the volume is opened; bodies are read when they are asked for.
 */

import type { ByteSource } from '../bytes/index.ts';
import { equalBytes, FormatError } from '../bytes/index.ts';
import type { FatGeometry } from './boot-sector.ts';
import { fatRegions, parseBootSector } from './boot-sector.ts';
import type { ClusterChains, Extent } from './chains.ts';
import { openChains, sourceOfExtents } from './chains.ts';
import type { DirectoryEntry } from './directory.ts';
import { parseDirectory } from './directory.ts';
import { foldName } from './names.ts';
import { attribute, maxDirectorySize } from './tree.ts';

export interface FatNode {
  /** Slash-separated, without a leading slash: `EFI/BOOT/BOOTX64.EFI`. */
  readonly path: string;
  readonly kind: 'file' | 'directory';
  readonly shortName: string;
  /** Attribute byte of the entry. */
  readonly attributes: number;
  /** Bytes; 0 for folders. */
  readonly size: number;
  /** Seconds since 1970, taking the stored local time for UTC. */
  readonly mtime: number;
}

export interface FatVolume {
  readonly geometry: FatGeometry;
  /** From the root directory, else from the boot sector; '' when there is none. */
  readonly label: string;
  /** Parents before what they hold, in the order on disk. */
  readonly nodes: readonly FatNode[];
  /** Things drivers tolerate or repair: FATs that differ, long names without an entry. */
  readonly findings: readonly string[];
  /** Looks a path up as drivers do, without regard to case. */
  find(path: string): FatNode | undefined;
  /** The body of a file of {@link nodes}. @throws FormatError for a folder or a node of another volume. */
  open(node: FatNode): ByteSource;
}

const maxDepth = 32;
const maxNodes = 200_000;
const compareChunk = 1024 * 1024;

interface Pending {
  readonly path: string;
  readonly depth: number;
  readonly extents: readonly Extent[];
}

/** @throws FormatError for a volume whose structures contradict each other; loops and cross-links included. */
export function readFat(volume: ByteSource): FatVolume {
  const boot = Uint8Array.from(volume.read(0, Math.min(volume.size, 512)));
  const geometry = parseBootSector(boot);
  if (geometry.sectors * geometry.sectorSize > volume.size) {
    throw new FormatError(
      'truncated',
      `the volume has ${geometry.sectors} sectors, more than its partition`,
      {
        offset: 32,
      },
    );
  }
  const chains = openChains(volume, geometry);
  const findings: string[] = fatsDiffer(volume, geometry) ? ['the two FATs differ'] : [];
  const bodies = new Map<FatNode, readonly Extent[]>();
  const byName = new Map<string, FatNode>();
  let label: string | undefined;

  const queue: Pending[] = [{ path: '', depth: 0, extents: rootExtents(geometry, chains) }];
  for (const { path, depth, extents } of queue) {
    const root = depth === 0;
    const size = extents.reduce((sum, extent) => sum + extent.size, 0);
    const folder = sourceOfExtents(volume, extents, size);
    const parsed = parseDirectory(Uint8Array.from(folder.read(0, size)), {
      base: extents[0]?.offset ?? 0,
      root,
    });
    if (root) label = parsed.label;
    if (parsed.orphans > 0) findings.push(`/${path}: ${parsed.orphans} long name entries without a file`);
    assertDistinct(parsed.entries, path);
    for (const entry of parsed.entries) {
      const node = nodeOf(entry, path);
      if (bodies.size >= maxNodes || depth >= maxDepth) {
        throw new FormatError('too-large', `more than ${maxNodes} files or ${maxDepth} levels`);
      }
      const chain = followNode(entry, node, { geometry, chains });
      bodies.set(node, chain);
      byName.set(foldName(node.path), node);
      if (node.kind === 'directory') queue.push({ path: node.path, depth: depth + 1, extents: chain });
    }
  }
  return {
    geometry,
    label: label ?? geometry.label,
    nodes: [...bodies.keys()],
    findings,
    find: (path) => byName.get(foldName(path)),
    open(node) {
      const extents = bodies.get(node);
      if (extents === undefined || node.kind !== 'file') {
        throw new FormatError('malformed', `${JSON.stringify(node.path)} is not a file of this volume`);
      }
      return sourceOfExtents(volume, extents, node.size);
    },
  };
}

function rootExtents(geometry: FatGeometry, chains: ClusterChains): readonly Extent[] {
  if (geometry.type !== 'fat32') {
    return [{ offset: fatRegions(geometry).root, size: geometry.rootEntries * 32 }];
  }
  const clusters = Math.ceil(maxDirectorySize / geometry.clusterSize);
  return chains.follow(geometry.rootCluster, { clusters, what: 'the root directory' });
}

function nodeOf(entry: DirectoryEntry, folder: string): FatNode {
  return {
    path: folder === '' ? entry.name : `${folder}/${entry.name}`,
    kind: (entry.attributes & attribute.directory) === 0 ? 'file' : 'directory',
    shortName: entry.shortName,
    attributes: entry.attributes,
    size: entry.size,
    mtime: entry.mtime,
  };
}

function followNode(
  entry: DirectoryEntry,
  node: FatNode,
  { geometry, chains }: { readonly geometry: FatGeometry; readonly chains: ClusterChains },
): readonly Extent[] {
  const what = `/${node.path}`;
  const { clusterSize, type } = geometry;
  // The upper half of the cluster number exists on FAT32 only; elsewhere it may hold anything.
  const first = type === 'fat32' ? entry.cluster : entry.cluster & 0xffff;
  if (node.kind === 'directory') {
    if (entry.size !== 0) throw new FormatError('malformed', `${what}: a folder of ${entry.size} bytes`);
    return chains.follow(first, { clusters: Math.ceil(maxDirectorySize / clusterSize), what });
  }
  const clusters = Math.ceil(entry.size / clusterSize);
  if (clusters === 0) {
    if (first === 0) return [];
    throw new FormatError('malformed', `${what}: an empty file with a cluster chain`);
  }
  const extents = chains.follow(first, { clusters, what });
  const held = extents.reduce((sum, extent) => sum + extent.size, 0);
  if (held < entry.size) {
    throw new FormatError('malformed', `${what}: ${entry.size} bytes, its chain holds ${held}`);
  }
  return extents;
}

/** Long and short names share one space; two entries that answer to one name are read differently by drivers. */
function assertDistinct(entries: readonly DirectoryEntry[], folder: string): void {
  const owners = new Map<string, DirectoryEntry>();
  for (const entry of entries) {
    for (const name of [entry.name, entry.shortName]) {
      const key = foldName(name);
      const owner = owners.get(key) ?? entry;
      if (owner !== entry) {
        throw new FormatError('malformed', `/${folder}: two files are named ${JSON.stringify(name)}`);
      }
      owners.set(key, entry);
    }
  }
}

function fatsDiffer(volume: ByteSource, geometry: FatGeometry): boolean {
  if (geometry.fatCount < 2) return false;
  const { fat, fatSize } = fatRegions(geometry);
  for (let at = 0; at < fatSize; at += compareChunk) {
    const length = Math.min(compareChunk, fatSize - at);
    const first = Uint8Array.from(volume.read(fat + at, length));
    if (!equalBytes(first, volume.read(fat + fatSize + at, length))) return true;
  }
  return false;
}
