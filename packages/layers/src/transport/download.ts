/**
 * The way back: a transport blob, as it arrives, to the verity image in it. Each chunk is checked before it is
 * decompressed and again afterwards, and in the end the whole image against its root hash. What was interrupted goes
 * on where it stopped, also in another process. Memory: one chunk and its frame.
 */

import { hash } from 'node:crypto';
import {
  closeSync,
  constants as open,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { constants, zstdDecompressSync } from 'node:zlib';
import { equalBytes, FormatError } from '@osguard/formats/bytes';
import type { ChunkIndex, DiffId, TransportChunk } from '@osguard/formats/layer';
import {
  chunkIndexFrameSize,
  chunkIndexHeadSize,
  largestFrame,
  parseChunkIndex,
} from '@osguard/formats/layer';
import type { RootHash } from '@osguard/formats/verity';
import { ImageCheck } from '../convert/image-check.ts';
import { LayerError } from '../error.ts';
import { syncFolder } from '../files/output-file.ts';
import { openPlainFile } from '../files/plain-file.ts';
import { readFully } from '../files/read-fully.ts';
import { writeFully } from '../files/write-fully.ts';
import { readSavedIndex, saveIndex } from './saved-index.ts';

export interface DownloadOptions {
  /** The image appears here whole or not at all. */
  readonly output: string;
  /** Digest of the blob: names what is kept of an interrupted download, so that no other blob is continued. */
  readonly blob: `sha256:${string}`;
  /** What somebody trusted signed; the blob's own claim is only good enough without one. */
  readonly rootHash?: RootHash;
  readonly diffId?: DiffId;
  /** Most an image may have. Bytes; 64 GiB unless given. */
  readonly maxImageSize?: number;
  /** Threads that hash, one per core unless given. */
  readonly threads?: number;
}

export interface DownloadedImage {
  readonly rootHash: RootHash;
  readonly diffId: DiffId;
  readonly dataSize: number;
  /** The same as `dataSize`. */
  readonly hashOffset: number;
  /** Of the image with its tree. Bytes. */
  readonly size: number;
}

export interface TransportDownload extends Disposable {
  /** Byte of the blob from which to go on: 0, or what earlier attempts left. */
  readonly position: number;
  /** Bytes of the image that are there, and in all once that is known. */
  readonly done: number;
  readonly total: number | undefined;
  /**
   * Takes the bytes of the blob from {@link position} on.
   * @throws LayerError `digest`, `layer-format` or `layer-too-large`; what was good before stays good.
   */
  write(bytes: Uint8Array): void;
  /**
   * The blob has ended: checks the whole and gives the image its name.
   * @throws LayerError `digest`; then nothing is kept, for going on would not help.
   */
  finish(): DownloadedImage;
  /** Throws away what is kept of this blob. */
  discard(): void;
}

const defaultMaxSize = 64 * 2 ** 30;

/** Goes on with what an earlier attempt at the same blob left beside the output. */
export function openDownload(options: DownloadOptions): TransportDownload {
  const download = new Download(options);
  try {
    download.resume();
  } catch (error) {
    download[Symbol.dispose]();
    throw error;
  }
  return download;
}

class Download implements TransportDownload {
  readonly #options: DownloadOptions;
  readonly #final: string;
  readonly #partial: string;
  readonly #indexPath: string;
  readonly #fd: number;
  #index: ChunkIndex | undefined;
  #check: ImageCheck | undefined;
  #position = 0;
  /** Number of the chunk that is next. */
  #next = 0;
  /** What has arrived of the index or the next frame. */
  #pending: Uint8Array = new Uint8Array(chunkIndexHeadSize);
  #filled = 0;
  #headRead = false;

  constructor(options: DownloadOptions) {
    this.#options = options;
    this.#final = resolve(options.output);
    const id = options.blob.replace(/^sha256:/, '').slice(0, 32);
    if (!/^[0-9a-f]{32}$/.test(id)) throw new LayerError('digest', `${options.blob} is no SHA-256 digest`);
    const name = `.${basename(this.#final)}.${id}`;
    this.#partial = join(dirname(this.#final), `${name}.part`);
    this.#indexPath = join(dirname(this.#final), `${name}.index`);
    this.#fd = openOrCreate(this.#partial);
  }

  get position(): number {
    return this.#position - this.#filled;
  }

  get done(): number {
    const { chunkSize = 0, imageSize = 0 } = this.#index ?? {};
    return Math.min(this.#next * chunkSize, imageSize);
  }

  get total(): number | undefined {
    return this.#index?.imageSize;
  }

  /** Takes over the chunks of an earlier attempt up to the first that is not what the index says. */
  resume(): void {
    const saved = readSavedIndex(this.#indexPath);
    if (saved === undefined) return;
    try {
      this.#start(parseChunkIndex(saved));
    } catch (error) {
      // A torn index, or one of another image, is as good as none.
      if (error instanceof FormatError || error instanceof LayerError) return;
      throw error;
    }
    this.#position = saved.length;
    for (const [number, chunk] of this.#chunks().entries()) {
      const bytes = new Uint8Array(this.#lengthOf(number));
      const whole = readFully(this.#fd, bytes, this.#offsetOf(number)) === bytes.length;
      if (!whole || !equalBytes(sha256(bytes), chunk.chunkDigest)) break;
      this.#check?.push(bytes);
      this.#position += chunk.frameSize;
      this.#next += 1;
    }
    this.#expectFrame();
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + this.#pending.length - this.#filled);
      if (piece.length === 0) throw new LayerError('layer-format', 'the blob is longer than its index says');
      this.#pending.set(piece, this.#filled);
      this.#filled += piece.length;
      this.#position += piece.length;
      at += piece.length;
      if (this.#filled === this.#pending.length) this.#take();
    }
  }

  finish(): DownloadedImage {
    const index = this.#index;
    const chunks = this.#chunks().length;
    if (index === undefined || this.#next < chunks || this.#filled > 0) {
      throw new LayerError('layer-format', `the blob ends early, at byte ${this.#position}`);
    }
    const { rootHash, diffId, dataSize, imageSize } = index;
    try {
      ftruncateSync(this.#fd, imageSize);
      const found = this.#check?.finish(this.#fd);
      compare('root hash', found?.rootHash, this.#options.rootHash ?? rootHash);
      compare('diff ID', found?.diffId, this.#options.diffId ?? diffId);
    } catch (error) {
      this.discard();
      throw asLayerError(error);
    }
    fsyncSync(this.#fd);
    renameSync(this.#partial, this.#final);
    syncFolder(dirname(this.#final));
    // After a crash before this the index is left, and the next download of this blob begins with nothing.
    rmSync(this.#indexPath, { force: true });
    return { rootHash, diffId, dataSize, hashOffset: dataSize, size: imageSize };
  }

  discard(): void {
    rmSync(this.#partial, { force: true });
    rmSync(this.#indexPath, { force: true });
  }

  [Symbol.dispose](): void {
    this.#check?.[Symbol.dispose]();
    closeSync(this.#fd);
    // Nothing is worth keeping before the index is there.
    if (this.#index === undefined) this.discard();
  }

  #chunks(): readonly TransportChunk[] {
    return this.#index?.chunks ?? [];
  }

  #offsetOf(number: number): number {
    return number * (this.#index?.chunkSize ?? 0);
  }

  #lengthOf(number: number): number {
    const { chunkSize = 0, imageSize = 0 } = this.#index ?? {};
    return Math.min(chunkSize, imageSize - number * chunkSize);
  }

  #take(): void {
    const bytes = this.#pending;
    try {
      if (this.#index !== undefined) this.#takeFrame(bytes);
      else if (this.#headRead) this.#takeIndex(bytes);
      else this.#takeHead(bytes);
    } catch (error) {
      throw asLayerError(error);
    }
  }

  #takeHead(head: Uint8Array): void {
    this.#headRead = true;
    this.#pending = new Uint8Array(chunkIndexFrameSize(head));
    this.#pending.set(head);
    this.#filled = head.length;
  }

  #takeIndex(bytes: Uint8Array): void {
    const index = parseChunkIndex(bytes);
    this.#start(index);
    saveIndex(this.#indexPath, bytes);
    this.#expectFrame();
  }

  #start(index: ChunkIndex): void {
    const { rootHash, diffId, maxImageSize = defaultMaxSize, threads } = this.#options;
    compare('root hash', index.rootHash, rootHash ?? index.rootHash);
    compare('diff ID', index.diffId, diffId ?? index.diffId);
    const { imageSize, dataSize } = index;
    if (imageSize > maxImageSize) {
      throw new LayerError(
        'layer-too-large',
        `an image of ${imageSize} bytes, at most ${maxImageSize} are taken`,
      );
    }
    this.#index = index;
    this.#check = new ImageCheck({ imageSize, dataSize, threads });
  }

  #expectFrame(): void {
    const { frameSize = 0 } = this.#chunks()[this.#next] ?? {};
    this.#filled = 0;
    if (frameSize === 0) {
      this.#pending = new Uint8Array();
      return;
    }
    // One buffer for all frames: chunks are alike.
    const whole = new Uint8Array(this.#pending.buffer);
    const room = largestFrame(this.#index?.chunkSize ?? 0);
    this.#pending = (whole.length >= frameSize ? whole : new Uint8Array(room)).subarray(0, frameSize);
  }

  #takeFrame(frame: Uint8Array): void {
    const number = this.#next;
    const chunk = this.#chunks()[number];
    if (chunk === undefined) throw new LayerError('layer-format', 'more frames than chunks');
    const wrong = (what: string): LayerError =>
      new LayerError('digest', `chunk ${number} of the image: ${what}`, { exitCode: 1 });
    if (!equalBytes(sha256(frame), chunk.frameDigest)) {
      this.#position -= this.#filled;
      this.#filled = 0;
      throw wrong('its frame is not what the index says');
    }
    const bytes = decompress(frame, this.#lengthOf(number));
    if (bytes === undefined || !equalBytes(sha256(bytes), chunk.chunkDigest)) {
      throw wrong('it is not what the index says');
    }
    writeFully(this.#fd, bytes, this.#offsetOf(number));
    this.#check?.push(bytes);
    this.#next += 1;
    this.#expectFrame();
  }
}

/** Undefined unless the frame holds exactly that many bytes. */
function decompress(frame: Uint8Array, length: number): Uint8Array | undefined {
  try {
    const bytes = zstdDecompressSync(frame, {
      maxOutputLength: length,
      chunkSize: length,
      // No frame needs a window larger than the largest chunk.
      params: { [constants.ZSTD_d_windowLogMax]: 24 },
    });
    return bytes.length === length ? bytes : undefined;
  } catch {
    return undefined;
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

function compare(what: string, found: string | undefined, expected: string): void {
  if (found === expected) return;
  throw new LayerError('digest', `the image's ${what} is ${found ?? 'missing'}, expected ${expected}`, {
    exitCode: 1,
    data: { found, expected },
  });
}

function asLayerError(error: unknown): unknown {
  if (!(error instanceof FormatError)) return error;
  return new LayerError('layer-format', `this verity image is refused: ${error.message}`, { cause: error });
}

function openOrCreate(path: string): number {
  const known = openPlainFile(path, open.O_RDWR);
  if (known !== undefined) return known;
  rmSync(path, { recursive: true, force: true });
  return openSync(path, 'wx+', 0o644);
}
