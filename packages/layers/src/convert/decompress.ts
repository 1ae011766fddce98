/** The bytes of a layer's tar, however the blob is compressed: what it starts with says how, as for containerd. */

import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { FormatError } from '@osguard/formats/bytes';
import { ZstdFrames } from '@osguard/formats/zstd';
import { LayerError } from '../error.ts';
import { readFully } from '../files/read-fully.ts';
import type { LayerCompression, LayerSource } from './types.ts';

/**
 * What the decompressor gives at a time, and how far it may be ahead: it works in a thread of its own while this
 * one handles what came before. Bytes.
 */
const pieceSize = 256 * 1024;
const aheadSize = 4 * 1024 * 1024;

export interface ReadLayerOptions {
  readonly signal?: AbortSignal | undefined;
  /** Gets the tar in pieces, each valid during the call. */
  readonly consume: (piece: Uint8Array) => void;
  /** Bytes of the blob so far. */
  readonly onSource?: ((bytes: number) => void) | undefined;
}

/** @throws LayerError `layer-format` for broken compression; whatever the source or `consume` throws. */
export async function readLayer(source: LayerSource, options: ReadLayerOptions): Promise<LayerCompression> {
  if (!('file' in source)) return readStream(source, options);
  const compression = compressionOf(headOfFile(source.file));
  if (compression === 'none') await readPlainFile(source.file, options);
  else await readStream(createReadStream(source.file, { highWaterMark: pieceSize }), options);
  return compression;
}

async function readStream(
  source: AsyncIterable<Uint8Array>,
  options: ReadLayerOptions,
): Promise<LayerCompression> {
  const { signal, consume, onSource } = options;
  let compression: LayerCompression = 'none';
  const iterator = counted(source, onSource)[Symbol.asyncIterator]();
  try {
    const head = await firstBytes(iterator);
    compression = compressionOf(head);
    const blob = continued(head, iterator);
    if (compression === 'none') {
      for await (const piece of blob) {
        signal?.throwIfAborted();
        consume(piece);
      }
    } else {
      const eat = async (pieces: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<void> => {
        for await (const piece of pieces) {
          consume(piece);
          release(piece);
        }
      };
      const cut = compression === 'zstd' ? cutAtFrames(blob) : blob;
      await pipeline(cut, decompressor(compression), eat, { ...(signal !== undefined && { signal }) });
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (isZlibError(error)) {
      throw new LayerError('layer-format', `the layer's ${compression} data is broken: ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  } finally {
    await iterator.return?.(undefined);
  }
  return compression;
}

/** The event loop gets its turn this often. Milliseconds. */
const breath = 20;

/** Always into the same memory, which stays in a core's cache. */
async function readPlainFile(path: string, options: ReadLayerOptions): Promise<void> {
  const { signal, consume, onSource } = options;
  const buffer = new Uint8Array(pieceSize);
  const fd = openSync(path, 'r');
  try {
    let breathed = performance.now();
    for (;;) {
      const length = readSync(fd, buffer);
      if (length === 0) return;
      onSource?.(length);
      consume(buffer.subarray(0, length));
      if (performance.now() - breathed < breath) continue;
      await setImmediate();
      signal?.throwIfAborted();
      breathed = performance.now();
    }
  } finally {
    closeSync(fd);
  }
}

function headOfFile(path: string): Uint8Array {
  const head = new Uint8Array(magicSize);
  const fd = openSync(path, 'r');
  try {
    return head.subarray(0, readFully(fd, head, 0));
  } finally {
    closeSync(fd);
  }
}

/**
 * Gives the memory of a decompressor's piece back at once: the collector would let some 60 MiB gather first. zlib goes
 * on writing behind a piece until it has filled the buffer, so only the last piece of one may be taken away.
 */
function release({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): void {
  if (byteOffset + byteLength === buffer.byteLength && buffer.byteLength === pieceSize) buffer.transfer(0);
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  onSource: ReadLayerOptions['onSource'],
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    onSource?.(piece.length);
    if (piece.length > 0) yield piece;
  }
}

/** Pieces that the decoder can be given: see ZstdFrames. */
async function* cutAtFrames(blob: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames();
  for await (const piece of blob) yield* frames.push(piece);
  frames.end();
}

const magicSize = 4;

async function firstBytes(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let length = 0; length < magicSize;) {
    const next = await iterator.next();
    if (next.done === true) break;
    pieces.push(next.value);
    length += next.value.length;
  }
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}

async function* continued(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) return;
    yield next.value;
  }
}

function compressionOf(head: Uint8Array): LayerCompression {
  const [a, b, c, d] = head;
  if (a === 0x1f && b === 0x8b) return 'gzip';
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd';
  // A frame to be skipped: layers that can be read in parts start with one.
  if (a !== undefined && a >= 0x50 && a <= 0x5f && b === 0x2a && c === 0x4d && d === 0x18) return 'zstd';
  return 'none';
}

function decompressor(compression: 'gzip' | 'zstd'): Transform {
  const options = { chunkSize: pieceSize, highWaterMark: aheadSize };
  return compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options);
}

function isZlibError(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof FormatError || !('code' in error)) return false;
  return typeof error.code === 'string' && /^(Z_|ZSTD_|ERR_ZLIB)/.test(error.code);
}

const mediaTypes =
  /^application\/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?)$/;

/** @throws LayerError `media-type` for what is no tar, compressed or not. */
export function checkMediaType(mediaType: string): void {
  if (mediaTypes.test(mediaType)) return;
  throw new LayerError('media-type', `a layer of type ${mediaType.slice(0, 200)} cannot be converted`, {
    hint: 'layers are tar archives, plain or compressed with gzip or zstd',
  });
}
