/** A list of files to an EROFS image in an open file: bodies are read straight into the buffer that is written. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { FormatError } from '@osguard/formats/bytes';
import type {
  ErofsFill,
  ErofsMetadata,
  ErofsOtherEntry,
  ErofsSummary,
  ErofsWriterOptions,
} from '@osguard/formats/erofs';
import { ErofsWriter, sortByName } from '@osguard/formats/erofs';
import { writeFully } from '../files/write.ts';

/** Where the body of a regular file is: in memory, in a file of the build host, or wherever `fill` has it. */
export type ImageFileBody =
  | Uint8Array
  /** `size` bytes from the start of the file, or all of it when no size is given. */
  | { readonly file: string; readonly size?: number }
  | { readonly size: number; readonly fill: ErofsFill };

export interface ImageFile extends ErofsMetadata {
  readonly type: 'file';
  readonly body: ImageFileBody;
}

/** One more name for the inode at `target`, a path of the image. */
export interface ImageHardLink {
  readonly type: 'link';
  readonly target: string;
}

/** `path` is absolute in the image; the root itself is `/`. */
export type ImageEntry = { readonly path: string } & (ImageFile | ImageHardLink | ErofsOtherEntry);

export interface WriteErofsOptions extends Pick<
  ErofsWriterOptions,
  'uuid' | 'buildTime' | 'buildTimeNsec' | 'volumeName' | 'blockSize' | 'tails'
> {
  /** Open for writing. */
  readonly fd: number;
  /** Where in the file the image starts. Bytes. */
  readonly position?: number;
  /**
   * Sees every write, offsets counted from the start of the image: one pass without gaps in multiples of the
   * block size, then block 0 once more. The bytes are only valid during the call.
   */
  readonly onChunk?: (offset: number, bytes: Uint8Array) => void;
}

/** Big enough for large writes, small enough to stay in a core's cache between read, hash and write. */
const bufferSize = 128 * 1024;

/**
 * Entries come in any order: the image depends on what they say only.
 * @throws FormatError `not-encodable` when EROFS cannot hold an entry or two have one path, `truncated` when a
 *   body is shorter than its file was when it was opened; system errors pass through
 */
export function writeErofsImage(entries: Iterable<ImageEntry>, options: WriteErofsOptions): ErofsSummary {
  const { fd, position = 0, onChunk } = options;
  const sink = {
    write(offset: number, bytes: Uint8Array): void {
      onChunk?.(offset, bytes);
      writeFully(fd, bytes, position + offset);
    },
  };
  const writer = new ErofsWriter(sink, { ...options, buffer: new Uint8Array(bufferSize) });
  const links: (ImageHardLink & { readonly path: string })[] = [];
  for (const entry of inTreeOrder(entries)) {
    if (entry.type === 'link') links.push(entry);
    else if (entry.type === 'file') addFile(writer, entry);
    else writer.add(entry.path, entry);
  }
  for (const { path, target } of links) writer.addLink(path, target);
  return writer.finish();
}

/** Depth first: a directory, then what it holds, by the bytes of the names. */
function inTreeOrder(entries: Iterable<ImageEntry>): readonly ImageEntry[] {
  // NUL is in no name and sorts before all bytes that are, as the end of a component must.
  const keyed = Array.from(entries, (entry) => ({ name: entry.path.replaceAll('/', '\0'), entry }));
  return sortByName(keyed).map(({ entry }) => entry);
}

function addFile(writer: ErofsWriter, entry: ImageFile & { readonly path: string }): void {
  const { path, body } = entry;
  if (body instanceof Uint8Array) {
    writer.openFile(path, { ...entry, size: body.length }).push(body);
    return;
  }
  if ('fill' in body) {
    writer.addFile(path, { ...entry, size: body.size }, body.fill);
    return;
  }
  const fd = openSync(body.file, 'r');
  try {
    const size = body.size ?? sizeOf(fd, body.file);
    writer.addFile(path, { ...entry, size }, (target) => readSync(fd, target));
  } finally {
    closeSync(fd);
  }
}

function sizeOf(fd: number, file: string): number {
  const stats = fstatSync(fd);
  if (!stats.isFile()) throw new FormatError('not-encodable', `${file} is not a regular file`);
  return stats.size;
}
