/** The files of an OCI layout, whether they lie in a folder or in a tar archive. */

import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FormatError } from '@osguard/formats/bytes';
import { readTarStream, safePath } from '@osguard/formats/tar';
import { LayerError } from '../error.ts';

export interface ImageFiles {
  readonly path: string;
  /** Bytes; undefined when there is no such file. */
  size(name: string): Promise<number | undefined>;
  /** @throws LayerError `not-found`, `registry` when it is larger than `most` bytes. */
  read(name: string, most: number): Promise<Uint8Array>;
  stream(name: string, offset: number): AsyncIterable<Uint8Array>;
  /** Undefined: read-only. The file appears whole or not at all. */
  readonly write?: (name: string, chunks: AsyncIterable<Uint8Array>) => Promise<void>;
}

export function folderFiles(path: string): ImageFiles {
  const size = async (name: string): Promise<number | undefined> => {
    try {
      const found = await stat(join(path, name));
      // Opening a pipe would wait for somebody to write.
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };
  return {
    path,
    size,
    async read(name, most) {
      const bytes = await size(name);
      assertReadable({ path, name, most }, bytes);
      return Uint8Array.from(await readFile(join(path, name)));
    },
    stream: (name, offset) =>
      createReadStream(join(path, name), { start: offset, highWaterMark: 1024 * 1024 }),
    async write(name, chunks) {
      const target = join(path, name);
      await mkdir(dirname(target), { recursive: true });
      const temporary = `${target}.${process.pid}.tmp`;
      try {
        const file = await open(temporary, 'w');
        try {
          for await (const chunk of chunks) await file.write(chunk);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, target);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
  };
}

interface Place {
  readonly offset: number;
  readonly size: number;
}

/** Reads the archive once to learn where its files are; their content is read from where it lies. */
export async function archiveFiles(path: string, signal?: AbortSignal): Promise<ImageFiles> {
  const places = await placesIn(path, signal);
  async function* stream(name: string, offset: number): AsyncGenerator<Uint8Array, void, undefined> {
    const place = places.get(name);
    if (place === undefined) throw missing(path, name);
    if (offset >= place.size) return;
    const start = place.offset + offset;
    const end = place.offset + place.size - 1;
    yield* createReadStream(path, { start, end, highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>;
  }
  return {
    path,
    stream,
    size: async (name) => Promise.resolve(places.get(name)?.size),
    async read(name, most) {
      assertReadable({ path, name, most }, places.get(name)?.size);
      const parts: Uint8Array[] = [];
      for await (const part of stream(name, 0)) parts.push(part);
      return Uint8Array.from(Buffer.concat(parts));
    },
  };
}

async function placesIn(path: string, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, Place>> {
  const places = new Map<string, Place>();
  const links: (readonly [string, string])[] = [];
  try {
    const chunks = createReadStream(path, {
      highWaterMark: 4 * 1024 * 1024,
      ...(signal !== undefined && { signal }),
    });
    for await (const event of readTarStream(chunks, { lenientEnd: true })) {
      if (event.type !== 'entry') continue;
      const { entry } = event;
      const name = safePath(entry.path);
      if (entry.kind === 'file') places.set(name, { offset: entry.bodyOffset, size: entry.size });
      // Older docker versions store a layer that occurs twice as a link.
      if (entry.kind === 'symlink') links.push([name, safePath(inside(name, entry.linkPath))]);
      if (entry.kind === 'hardlink') links.push([name, safePath(entry.linkPath)]);
    }
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    const hint = (await isCompressed(path)) ? 'it is compressed: gunzip or unzstd it first' : undefined;
    throw new LayerError('registry', `${path}: no tar archive of an image: ${cause.message}`, {
      cause,
      ...(hint !== undefined && { hint }),
    });
  }
  for (const [name, target] of links) {
    const place = places.get(target);
    if (place !== undefined && !places.has(name)) places.set(name, place);
  }
  return places;
}

/** A link's target as seen from the top of the archive. */
function inside(name: string, target: string): string {
  const parts = target.startsWith('/') ? [] : name.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/') || 'nothing';
}

async function isCompressed(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.readUInt16BE(0) === 0x1f8b || buffer.readUInt32LE(0) === 0xfd2fb528;
  } finally {
    await file.close();
  }
}

function assertReadable(
  { path, name, most }: { readonly path: string; readonly name: string; readonly most: number },
  size: number | undefined,
): void {
  if (size === undefined) throw missing(path, name);
  if (size > most)
    throw new LayerError('registry', `${join(path, name)}: ${size} bytes, at most ${most} are read`);
}

function missing(path: string, name: string): LayerError {
  return new LayerError('not-found', `${path}: has no ${name}`);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
