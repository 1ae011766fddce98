/**
 * The chunk index of a verity image in transport: what its chunks are, in a frame that zstd decoders skip
 * (RFC 8878, section 3.1.2). docs/layer-format.md, "Transport":
 *
 *     0 0x184d2a5d u32 · 4 size of what follows u32 · 8 "osguard-chunks\0\0" · 24 version u32 = 1 · 28 chunk size u32
 *     32 image size u64 · 40 data size u64 · 48 root hash[32] · 80 diff ID[32] · 112 chunks u32 · 116 zero u32
 *     120 per chunk: frame size u32 · SHA-256 of the frame[32] · SHA-256 of the chunk[32]; all little-endian
 */

import { ByteReader, ByteWriter, equalBytes, FormatError, fromHex, toHex } from '../bytes/index.ts';
import type { RootHash } from '../verity/index.ts';
import { rootHashOf, verityGeometry } from '../verity/index.ts';
import type { DiffId } from './header.ts';
import { diffIdBytes } from './header.ts';

export interface TransportChunk {
  /** Of the zstd frame. Bytes. */
  readonly frameSize: number;
  /** SHA-256, 32 bytes each: of the frame, and of the part of the image it holds. */
  readonly frameDigest: Uint8Array;
  readonly chunkDigest: Uint8Array;
}

export interface ChunkIndex {
  /** Bytes of the image in each chunk; the last may have fewer. */
  readonly chunkSize: number;
  /** Of the image with its hash tree. Bytes. */
  readonly imageSize: number;
  /** Of what the tree protects, which is where it begins. Bytes. */
  readonly dataSize: number;
  readonly rootHash: RootHash;
  readonly diffId: DiffId;
  readonly chunks: readonly TransportChunk[];
}

const frameMagic = 0x184d_2a5d;
const magic = new TextEncoder().encode('osguard-chunks\0\0');
const blockSize = 4096;
const fixedSize = 120;
const chunkEntrySize = 68;

/** What says how long the index is. Bytes. */
export const chunkIndexHeadSize = 8;
/** Chunks are not smaller and not larger: what is checked at once is held in memory at once. Bytes. */
export const smallestChunk: number = 64 * 1024;
export const largestChunk: number = 16 * 1024 * 1024;
/** Some 120,000 chunks. Bytes. */
const largestIndex = 8 * 1024 * 1024;

/** The whole frame. Bytes. */
export function chunkIndexSize(chunks: number): number {
  return fixedSize + chunks * chunkEntrySize;
}

/** Most that zstd makes of a chunk that cannot be compressed (ZSTD_compressBound). Bytes. */
export function largestFrame(chunkSize: number): number {
  return chunkSize + Math.ceil(chunkSize / 256) + 1024;
}

/** @throws FormatError `not-encodable` */
export function encodeChunkIndex(index: ChunkIndex): Uint8Array<ArrayBuffer> {
  const { chunkSize, imageSize, dataSize, rootHash, diffId, chunks } = index;
  const problem = problemOf(index, chunks.length);
  if (problem !== undefined) throw new FormatError('not-encodable', problem);
  const size = chunkIndexSize(chunks.length);
  const writer = new ByteWriter({ capacity: size })
    .u32(frameMagic)
    .u32(size - chunkIndexHeadSize)
    .bytes(magic)
    .u32(1)
    .u32(chunkSize)
    .u64(imageSize)
    .u64(dataSize)
    .bytes(fromHex(rootHash, 'root hash'))
    .bytes(diffIdBytes(diffId))
    .u32(chunks.length)
    .u32(0);
  for (const { frameSize, frameDigest, chunkDigest } of chunks) {
    writer.u32(frameSize).bytes(frameDigest).bytes(chunkDigest);
  }
  const bytes = writer.finish();
  if (bytes.length !== size) throw new FormatError('not-encodable', 'digests of a chunk have 32 bytes');
  return bytes;
}

/**
 * Bytes of the whole index frame, from its first {@link chunkIndexHeadSize}.
 * @throws FormatError `not-this-format`, `too-large`, `truncated`
 */
export function chunkIndexFrameSize(head: Uint8Array): number {
  const reader = new ByteReader(head);
  if (reader.u32('frame magic') !== frameMagic) {
    throw new FormatError('not-this-format', 'no chunk index', { offset: 0 });
  }
  const size = reader.u32('frame size') + chunkIndexHeadSize;
  if (size > largestIndex)
    throw new FormatError('too-large', `a chunk index of ${size} bytes`, { offset: 4 });
  return size;
}

/**
 * @param bytes the whole frame, nothing else.
 * @throws FormatError `not-this-format`, `unsupported` (version), `malformed`, `too-large`, `truncated`
 */
export function parseChunkIndex(bytes: Uint8Array): ChunkIndex {
  const frameSize = chunkIndexFrameSize(bytes);
  const reader = new ByteReader(bytes);
  reader.skip(chunkIndexHeadSize, 'frame head');
  if (!equalBytes(reader.bytes(magic.length, 'chunk index'), magic)) {
    throw new FormatError('not-this-format', 'no chunk index', { offset: 8 });
  }
  const version = reader.u32('version');
  if (version !== 1) throw new FormatError('unsupported', `chunk index version ${version}`, { offset: 24 });
  const chunkSize = reader.u32('chunk size');
  const imageSize = reader.size64('image size');
  const dataSize = reader.size64('data size');
  const rootHash = rootHashOf(reader.bytes(32, 'root hash'));
  const diffId: DiffId = `sha256:${toHex(reader.bytes(32, 'diff ID'))}`;
  const count = reader.u32('chunks');
  const reserved = reader.u32('reserved');
  const sizes = { chunkSize, imageSize, dataSize };
  const problem = reserved === 0 ? problemOf(sizes, count) : 'what is reserved must be zero';
  if (problem !== undefined) throw new FormatError('malformed', `chunk index: ${problem}`, { offset: 28 });
  if (frameSize !== chunkIndexSize(count)) {
    throw new FormatError('malformed', `chunk index: ${frameSize} bytes for ${count} chunks`, { offset: 4 });
  }
  const chunks: TransportChunk[] = [];
  for (let index = 0; index < count; index += 1) {
    const { offset } = reader;
    const size = reader.u32('frame size');
    if (size === 0 || size > largestFrame(chunkSize)) {
      throw new FormatError('malformed', `chunk ${index}: a frame of ${size} bytes`, { offset });
    }
    chunks.push({
      frameSize: size,
      frameDigest: Uint8Array.from(reader.bytes(32, 'frame digest')),
      chunkDigest: Uint8Array.from(reader.bytes(32, 'chunk digest')),
    });
  }
  reader.end('chunk index');
  return { ...sizes, rootHash, diffId, chunks };
}

type Sizes = Pick<ChunkIndex, 'chunkSize' | 'imageSize' | 'dataSize'>;

function problemOf({ chunkSize, imageSize, dataSize }: Sizes, count: number): string | undefined {
  const legal = chunkSize >= smallestChunk && chunkSize <= largestChunk && chunkSize % blockSize === 0;
  if (!legal) return `chunks of ${chunkSize} bytes`;
  if (dataSize % blockSize !== 0 || dataSize === 0 || imageSize !== imageSizeFor(dataSize)) {
    return `an image of ${imageSize} bytes with ${dataSize} bytes of data`;
  }
  const expected = Math.ceil(imageSize / chunkSize);
  if (count !== expected) return `${count} chunks for an image of ${expected}`;
  return undefined;
}

/** Data, superblock in a block of its own, and tree. Bytes. */
function imageSizeFor(dataSize: number): number {
  return verityGeometry({ dataBlocks: dataSize / blockSize, hashOffset: dataSize }).hashEnd;
}
