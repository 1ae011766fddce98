/**
 * Cluster chains of a volume that is being read. Every cluster may be used once in the whole volume, so a
 * loop, a cross-link and a chain that is too long are one check, and all chains together cost at most one
 * step for each cluster the volume really has.
 */

import type { ByteSource } from '../bytes/index.ts';
import { assertInside, FormatError } from '../bytes/index.ts';
import type { FatGeometry, FatType } from './boot-sector.ts';
import { fatRegions } from './boot-sector.ts';

/** Bytes on the volume that follow each other. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

export interface ClusterChains {
  /** Bytes of the chain from `first` in order; `clusters` bounds its length. */
  follow(first: number, limits: { readonly clusters: number; readonly what: string }): readonly Extent[];
}

const bitsPerEntry: Readonly<Record<FatType, number>> = { fat12: 12, fat16: 16, fat32: 32 };
/** From here on an entry means: last of its chain. One below: bad cluster. */
const endMark: Readonly<Record<FatType, number>> = { fat12: 0xff8, fat16: 0xfff8, fat32: 0x0fff_fff8 };
const pageSize = 65_536;

export function openChains(volume: ByteSource, geometry: FatGeometry): ClusterChains {
  const { type, clusterSize, clusterCount } = geometry;
  const { data } = fatRegions(geometry);
  const entry = entryReader(volume, geometry);
  const used = new Uint8Array(Math.ceil((clusterCount + 2) / 8));

  const take = (cluster: number, what: string): void => {
    if (cluster < 2 || cluster >= clusterCount + 2) {
      throw new FormatError('malformed', `${what}: cluster ${cluster} of ${clusterCount}`);
    }
    const mask = 1 << (cluster & 7);
    if (((used[cluster >> 3] ?? 0) & mask) !== 0) {
      throw new FormatError('malformed', `${what}: cluster ${cluster} is already part of a chain`, {
        offset: data + (cluster - 2) * clusterSize,
      });
    }
    used[cluster >> 3] = (used[cluster >> 3] ?? 0) | mask;
  };

  return {
    follow(first, { clusters, what }) {
      const extents: { offset: number; size: number }[] = [];
      let cluster = first;
      for (let length = 0; cluster < endMark[type]; length += 1) {
        if (length === clusters) {
          throw new FormatError('malformed', `${what}: its chain is longer than ${clusters} clusters`);
        }
        take(cluster, what);
        const offset = data + (cluster - 2) * clusterSize;
        const last = extents.at(-1);
        if (last !== undefined && last.offset + last.size === offset) last.size += clusterSize;
        else extents.push({ offset, size: clusterSize });
        cluster = entry(cluster);
      }
      return extents;
    },
  };
}

function entryReader(volume: ByteSource, geometry: FatGeometry): (cluster: number) => number {
  const bits = bitsPerEntry[geometry.type];
  const { fat, fatSize } = fatRegions(geometry);
  if (bits === 12) {
    // At most 4,086 entries: all of it fits in 6 KiB. An entry may cross a byte, so no pages here.
    const table = Uint8Array.from(volume.read(fat, Math.min(fatSize, 6144)));
    return (cluster) => {
      const at = cluster + (cluster >> 1);
      const pair = (table[at] ?? 0) | ((table[at + 1] ?? 0) << 8);
      return (cluster & 1) === 0 ? pair & 0xfff : pair >> 4;
    };
  }
  let page: DataView | undefined;
  let pageStart = -1;
  return (cluster) => {
    const at = cluster * (bits / 8);
    const start = at - (at % pageSize);
    if (page === undefined || start !== pageStart) {
      page = new DataView(
        Uint8Array.from(volume.read(fat + start, Math.min(pageSize, fatSize - start))).buffer,
      );
      pageStart = start;
    }
    // The top four bits of a FAT32 entry are reserved.
    return bits === 16 ? page.getUint16(at - start, true) : page.getUint32(at - start, true) & 0x0fff_ffff;
  };
}

/** One source over scattered extents, cut to `size` bytes. A read inside one extent is not copied. */
export function sourceOfExtents(volume: ByteSource, extents: readonly Extent[], size: number): ByteSource {
  const starts: number[] = [];
  let total = 0;
  for (const extent of extents) {
    starts.push(total);
    total += extent.size;
  }
  return {
    size,
    read(offset, length) {
      assertInside(size, offset, length);
      if (length === 0) return new Uint8Array(0);
      let i = lastAtOrBelow(starts, offset);
      const extent = extents[i] ?? { offset: 0, size: 0 };
      const skip = offset - (starts[i] ?? 0);
      if (length <= extent.size - skip) return volume.read(extent.offset + skip, length);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; i += 1) {
        const piece = extents[i] ?? { offset: 0, size: 0 };
        const from = done === 0 ? skip : 0;
        const count = Math.min(length - done, piece.size - from);
        bytes.set(volume.read(piece.offset + from, count), done);
        done += count;
      }
      return bytes;
    },
  };
}

function lastAtOrBelow(starts: readonly number[], value: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) <= value) low = middle;
    else high = middle;
  }
  return low;
}
