/** Whether bytes are a verity image of version 1, whole, and of which root hash: nothing of them is believed. */

import { readSync } from 'node:fs';
import { equalBytes } from '@osguard/formats/bytes';
import type { DiffId } from '@osguard/formats/layer';
import { diffIdBytes, layerHeaderSize, parseLayerHeader } from '@osguard/formats/layer';
import type { RootHash } from '@osguard/formats/verity';
import type { TreeBuilder } from '@osguard/image/verity';
import { createTreeBuilder } from '@osguard/image/verity';
import { LayerError } from '../error.ts';
import { derivedUuid, layerSalt } from './format.ts';
import { verityTail } from './verity-tail.ts';

export interface CheckedImage {
  readonly rootHash: RootHash;
  readonly diffId: DiffId;
}

export interface ImageCheckOptions {
  /** Bytes of the image and, of those, the ones its tree protects. */
  readonly imageSize: number;
  readonly dataSize: number;
  readonly threads?: number | undefined;
}

/** Gets the data of an image in order, then compares what lies behind it in the file. */
export class ImageCheck implements Disposable {
  readonly #options: ImageCheckOptions;
  readonly #verity: TreeBuilder;
  readonly #head = new Uint8Array(layerHeaderSize);

  constructor(options: ImageCheckOptions) {
    const { dataSize, threads } = options;
    this.#options = options;
    this.#verity = createTreeBuilder({
      salt: layerSalt,
      superblock: false,
      expectedSize: dataSize,
      ...(threads !== undefined && { threads }),
    });
  }

  /** The next bytes of the image; what lies behind its data is not looked at here. */
  push(bytes: Uint8Array): void {
    const at = this.#verity.size;
    const data = bytes.subarray(0, Math.max(0, this.#options.dataSize - at));
    if (at < layerHeaderSize) this.#head.set(data.subarray(0, layerHeaderSize - at), at);
    this.#verity.push(data);
  }

  /**
   * @param fd of the whole image.
   * @throws LayerError `digest` unless superblock and tree are those of the data, to the last byte; FormatError
   *   when there is no layer header.
   */
  finish(fd: number): CheckedImage {
    const { imageSize, dataSize } = this.#options;
    const { diffId } = parseLayerHeader(this.#head);
    const built = this.#verity.finish();
    let at = dataSize;
    for (const piece of verityTail(built, derivedUuid(diffIdBytes(diffId)))) {
      const found = Buffer.alloc(piece.length);
      readSync(fd, found, 0, found.length, at);
      if (!equalBytes(found, piece)) throw wrongTree(`not the one of its data (from byte ${at})`);
      at += piece.length;
    }
    if (at !== imageSize) throw wrongTree(`${imageSize - dataSize} bytes, expected ${at - dataSize}`);
    return { rootHash: built.rootHash, diffId };
  }

  [Symbol.dispose](): void {
    this.#verity[Symbol.dispose]();
  }
}

function wrongTree(what: string): LayerError {
  return new LayerError('digest', `the image's hash tree is ${what}`, { exitCode: 1 });
}
