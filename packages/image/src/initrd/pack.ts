/**
 * The initrd as bytes: two newc archives in a row, each compressed with zstd. The first holds what comes from packages
 * and stays the same from build to build, so its compression is kept in a cache; the second what binds this one image.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import type { CpioEntry } from '@osguard/formats/cpio';
import { writeCpio } from '@osguard/formats/cpio';
import { ByteWriter, sourceOf } from '@osguard/formats/bytes';
import { ImageError } from '../error.ts';
import type { InitrdEntry } from './compose.ts';

export interface PackInitrdOptions {
  /** Seconds since 1970. */
  readonly sourceDateEpoch: number;
  /** Folder for compressed archives, by digest of their content. */
  readonly cache: string;
  /** Paths that differ from image to image; they go into the second archive. */
  readonly isBinding: (path: string) => boolean;
}

/** The host's initrd: 10.7 MB at level 9, 9.7 MB at level 19, which takes some fifteen times as long; both unpack as fast. */
const level = 9;

export function packInitrd(entries: readonly InitrdEntry[], options: PackInitrdOptions): Uint8Array {
  const isBinding = ({ path, type }: InitrdEntry): boolean => type !== 'directory' && options.isBinding(path);
  const binding = entries.filter((entry) => isBinding(entry));
  const folders = entries.filter(
    ({ type, path }) => type === 'directory' && binding.some((each) => each.path.startsWith(`${path}/`)),
  );
  const shared = entries.filter((entry) => !isBinding(entry));
  const archive = (list: readonly InitrdEntry[]): Uint8Array => {
    const bodies = list.reduce((sum, { body }) => sum + (body?.length ?? 0), 0);
    // Enough at once: growing would copy tens of megabytes.
    const writer = new ByteWriter({ capacity: bodies + list.length * 512 + 4096 });
    for (const chunk of writeCpio(list.map((entry) => cpioEntry(entry, options)))) writer.bytes(chunk);
    return writer.finish();
  };
  const first = compressCached(archive(shared), options.cache);
  const second = compress(archive([...folders, ...binding].sort((a, b) => (a.path < b.path ? -1 : 1))));
  // The kernel looks for the next archive at multiples of four bytes.
  return Buffer.concat([first, new Uint8Array(-first.length & 3), second]);
}

function cpioEntry(entry: InitrdEntry, { sourceDateEpoch }: PackInitrdOptions): CpioEntry {
  const common = { path: entry.path, mode: entry.mode, uid: 0, gid: 0, mtime: sourceDateEpoch };
  switch (entry.type) {
    case 'file':
      return { ...common, kind: 'file', body: sourceOf(entry.body ?? new Uint8Array()) };
    case 'directory':
      return { ...common, kind: 'directory' };
    case 'symlink':
      return { ...common, kind: 'symlink', target: entry.target ?? '' };
    case 'character': {
      const [major, minor] = entry.device ?? [];
      if (major === undefined || minor === undefined) {
        throw new ImageError('incomplete-root', `initrd: /${entry.path} is a device without number`);
      }
      return { ...common, kind: 'character-device', major, minor };
    }
  }
}

function compress(bytes: Uint8Array): Buffer {
  return zstdCompressSync(bytes, {
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
      // The output depends on there being workers, not on how many. One more would take 50 MB.
      [constants.ZSTD_c_nbWorkers]: 1,
    },
    pledgedSrcSize: bytes.length,
  });
}

/** Compressing is a function of the bytes, the level and the library: those are the key. */
function compressCached(bytes: Uint8Array, cache: string): Buffer {
  const key = createHash('sha256')
    .update(`${process.versions['zstd'] ?? ''} ${level} `)
    .update(bytes)
    .digest('hex');
  const path = join(cache, `${key}.zst`);
  try {
    return readFileSync(path);
  } catch {
    const compressed = compress(bytes);
    mkdirSync(cache, { recursive: true });
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, compressed);
    renameSync(temporary, path);
    return compressed;
  }
}
