/** A verity image to the blob a registry keeps: an index, then zstd frames that can be read one by one. */

import { createHash, hash } from 'node:crypto';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import type { TransportChunk } from '@osguard/formats/layer';
import { chunkIndexSize, encodeChunkIndex } from '@osguard/formats/layer';
import type { ConvertedLayer } from '../convert/types.ts';
import { LayerError } from '../error.ts';
import { createOutputFile } from '../files/output-file.ts';
import { readFully } from '../files/read-fully.ts';
import { writeFully } from '../files/write-fully.ts';

export interface EncodeTransportOptions {
  /** The blob appears here whole or not at all. */
  readonly output: string;
  /** What convertLayer said of the image. */
  readonly layer: Pick<ConvertedLayer, 'rootHash' | 'diffId' | 'dataSize' | 'size'>;
  /** Of zstd; 3 unless given. */
  readonly level?: number;
  /** Bytes of the image in a chunk; 4 MiB unless given. */
  readonly chunkSize?: number;
  readonly signal?: AbortSignal;
  /** Bytes of the image done, and in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface EncodedTransport {
  /** Of the blob. */
  readonly digest: `sha256:${string}`;
  /** Of the blob. Bytes. */
  readonly size: number;
  readonly chunks: number;
}

const compress = promisify(zstdCompress);
const defaultChunk = 4 * 1024 * 1024;
/** Chunks that are compressed at a time: as many as libuv has threads by default. */
const atOnce = 4;

/**
 * The same image, level and zstd give the same bytes; another zstd may not, which is why the index has digests.
 * @throws LayerError `digest` when the file is not as long as the layer is; AbortError; system errors pass through.
 */
export async function encodeTransport(
  image: string,
  options: EncodeTransportOptions,
): Promise<EncodedTransport> {
  const { layer, signal, chunkSize = defaultChunk } = options;
  const fd = openSync(image, 'r');
  try {
    const found = fstatSync(fd).size;
    if (found !== layer.size) {
      throw new LayerError('digest', `${image} has ${found} bytes, expected ${layer.size}`);
    }
    using output = createOutputFile(options.output);
    const count = Math.ceil(layer.size / chunkSize);
    // Its size is known, its content comes last.
    let at = chunkIndexSize(count);
    const chunks: TransportChunk[] = [];
    const { signal: _, ...compressOptions } = options;
    for await (const { frame, chunk } of compressed(fd, { ...compressOptions, chunkSize, signal })) {
      writeFully(output.fd, frame, at);
      at += frame.length;
      chunks.push(chunk);
    }
    const { rootHash, diffId, dataSize, size: imageSize } = layer;
    writeFully(output.fd, encodeChunkIndex({ chunkSize, imageSize, dataSize, rootHash, diffId, chunks }), 0);
    const digest = digestOf(output.fd);
    signal?.throwIfAborted();
    output.commit();
    return { digest, size: at, chunks: count };
  } finally {
    closeSync(fd);
  }
}

interface Compressed {
  readonly frame: Uint8Array;
  readonly chunk: TransportChunk;
}

interface CompressOptions extends Pick<EncodeTransportOptions, 'layer' | 'level' | 'onProgress'> {
  readonly chunkSize: number;
  readonly signal: AbortSignal | undefined;
}

/** Chunks in their order; a few are compressed ahead. */
async function* compressed(fd: number, options: CompressOptions): AsyncGenerator<Compressed> {
  const { layer, chunkSize, level = 3, signal, onProgress } = options;
  const running: Promise<Compressed>[] = [];
  let next = 0;
  const start = (): void => {
    const chunk = new Uint8Array(Math.min(chunkSize, layer.size - next));
    readFully(fd, chunk, next);
    next += chunk.length;
    const one = compressOne(chunk, level);
    // Whoever waits for it sees the failure; until then it is nobody's fault.
    one.catch(() => undefined);
    running.push(one);
  };
  for (let done = 0; done < layer.size; done += chunkSize) {
    signal?.throwIfAborted();
    while (running.length < atOnce && next < layer.size) start();
    const first = running.shift();
    if (first !== undefined) yield await first;
    onProgress?.(Math.min(done + chunkSize, layer.size), layer.size);
  }
}

async function compressOne(chunk: Uint8Array, level: number): Promise<Compressed> {
  const frame = await compress(chunk, {
    pledgedSrcSize: chunk.length,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
  const frameDigest = hash('sha256', frame, 'buffer');
  return {
    frame,
    chunk: { frameSize: frame.length, frameDigest, chunkDigest: hash('sha256', chunk, 'buffer') },
  };
}

function digestOf(fd: number): `sha256:${string}` {
  const digest = createHash('sha256');
  const buffer = new Uint8Array(1024 * 1024);
  for (let at = 0; ;) {
    const count = readFully(fd, buffer, at);
    if (count === 0) return `sha256:${digest.digest('hex')}`;
    digest.update(buffer.subarray(0, count));
    at += count;
  }
}
