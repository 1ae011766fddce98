/**
 * The files of an initrd as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst):
 * newc archives in a row, each plain or compressed with zstd or gzip; later files replace earlier ones.
 */

import { constants, gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { ByteSource } from '@osguard/formats/bytes';
import { FormatError, sourceOf } from '@osguard/formats/bytes';
import type { CpioReadEntry } from '@osguard/formats/cpio';
import { readCpio } from '@osguard/formats/cpio';

/** Unpacked bytes of all archives together. A small initrd has 30 MB, a large generic one 150 MB. */
const largest = 256 * 1024 * 1024;

export interface InitrdFiles {
  /** By path without leading slash. */
  readonly entries: ReadonlyMap<string, CpioReadEntry>;
  /** Bytes after unpacking. */
  readonly unpackedSize: number;
  /** The bytes of a regular file; undefined when there is none of that path. */
  read(path: string): Uint8Array | undefined;
}

/** @throws FormatError with the offset in the initrd for anything the kernel would not unpack, or that is too large. */
export function readInitrd(initrd: ByteSource): InitrdFiles {
  const entries = new Map<string, CpioReadEntry>();
  let unpackedSize = 0;
  for (const archive of archives(initrd)) {
    unpackedSize += archive.size;
    if (unpackedSize > largest) throw tooLarge();
    for (const entry of readCpio(archive)) entries.set(entry.path.replace(/^\.?\/+/, ''), entry);
  }
  return {
    entries,
    unpackedSize,
    read(path) {
      const entry = entries.get(path);
      return entry?.kind === 'file' ? entry.body.read(0, entry.body.size) : undefined;
    },
  };
}

function* archives(initrd: ByteSource): Generator<ByteSource> {
  // Valid until the next read of the source, which is the caller's: what is kept is copied.
  let rest = initrd.read(0, initrd.size);
  while (rest.length > 0) {
    const offset = initrd.size - rest.length;
    if (rest[0] === 0) {
      const next = rest.findIndex((octet) => octet !== 0);
      if (next === -1) return;
      rest = rest.subarray(next);
    } else if (startsWith(rest, [0x30, 0x37, 0x30, 0x37])) {
      let tail: number | undefined;
      const whole = sourceOf(rest);
      // The reader says where the plain archive ends and something else begins.
      for (const entry of readCpio(whole, { onTail: (at) => (tail = at) })) void entry;
      yield sourceOf(rest.slice(0, tail ?? rest.length));
      if (tail === undefined) return;
      rest = rest.subarray(tail);
    } else {
      const { bytes, used } = decompress(rest, offset);
      yield sourceOf(bytes);
      rest = rest.subarray(used);
    }
  }
}

function decompress(
  bytes: Uint8Array,
  offset: number,
): { readonly bytes: Uint8Array; readonly used: number } {
  // Output of more than one chunk is copied once more; initrds shrink to a third or a half.
  const chunkSize = Math.min(4 * bytes.length + 1024, 64 * 1024 * 1024);
  const options = { maxOutputLength: largest, chunkSize, info: true } as const;
  try {
    if (startsWith(bytes, [0x28, 0xb5, 0x2f, 0xfd])) return unpacked(zstdDecompressSync(bytes, options));
    if (startsWith(bytes, [0x1f, 0x8b])) {
      return unpacked(gunzipSync(bytes, { ...options, finishFlush: constants.Z_SYNC_FLUSH }));
    }
  } catch (cause) {
    if (cause instanceof RangeError) throw tooLarge();
    throw new FormatError('malformed', 'initrd: the compressed archive is broken', { offset, cause });
  }
  const magic = Buffer.from(bytes.subarray(0, 4)).toString('hex');
  throw new FormatError('unsupported', `initrd: neither cpio, zstd nor gzip (starts with ${magic})`, {
    offset,
  });
}

/** With `info: true` zlib returns the engine too, which knows how much input the first frame took. */
function unpacked(result: unknown): { readonly bytes: Uint8Array; readonly used: number } {
  if (typeof result === 'object' && result !== null && 'buffer' in result && 'engine' in result) {
    const { buffer, engine } = result;
    if (
      buffer instanceof Uint8Array &&
      typeof engine === 'object' &&
      engine !== null &&
      'bytesWritten' in engine
    ) {
      return { bytes: buffer, used: Number(engine.bytesWritten) };
    }
  }
  throw new TypeError('zlib did not return its engine');
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((octet, index) => bytes[index] === octet);
}

function tooLarge(): FormatError {
  return new FormatError('too-large', `initrd: more than ${largest} bytes when unpacked`);
}
