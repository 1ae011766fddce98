/** What a conversion is asked for and what it gives: docs/layer-format.md. */

import type { DiffId } from '@osguard/formats/layer';
import type { RootHash } from '@osguard/formats/verity';

export type LayerCompression = 'none' | 'gzip' | 'zstd';

/** A layer's blob, compressed or not: as it comes, in pieces of any size, or a file, which is read faster. */
export type LayerSource = AsyncIterable<Uint8Array> | { readonly file: string };

/** Bounds of what an archive may make this process do; what exceeds one is refused with `layer-too-large`. */
export interface LayerLimits {
  /** Of the uncompressed tar. Bytes; 64 GiB unless given. */
  readonly maxTarSize: number;
  /**
   * What names, link targets, attributes and inodes may take in memory. Bytes; 1 GiB unless given, which is enough
   * for about two million files.
   */
  readonly maxMetadata: number;
}

export interface ConvertLayerOptions {
  /** The image appears here whole or not at all; a file of that name is replaced. */
  readonly output: string;
  /** Of the layer's descriptor. Refused when it says what is not readable here; the bytes say how it is compressed. */
  readonly mediaType?: string;
  /** When given, another archive is refused (`digest`) before anything appears under the output's name. */
  readonly diffId?: DiffId;
  /** Bytes the source will give, roughly; of a file they are known. For progress, and so that threads start at once. */
  readonly sourceSize?: number;
  readonly limits?: Partial<LayerLimits>;
  /** Threads in all, one per core unless given. 1 starts none, as a single executable needs it. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Bytes of the source read so far. Called every few milliseconds at most. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
}

export interface DroppedXattr {
  /** For example `security.selinux`. */
  readonly name: string;
  /** How many entries had it. */
  readonly count: number;
}

export interface ConvertedLayer {
  /** Of the rules in docs/layer-format.md. */
  readonly formatVersion: 1;
  readonly rootHash: RootHash;
  readonly diffId: DiffId;
  /** How the source was compressed. */
  readonly compression: LayerCompression;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
  /** Bytes of the EROFS image: what the tree protects. */
  readonly dataSize: number;
  /** Where in the file the dm-verity superblock begins, for veritysetup's --hash-offset. The same as `dataSize`. */
  readonly hashOffset: number;
  /** Bytes of the whole file: image, superblock, tree. */
  readonly size: number;
  readonly inodes: number;
  /** Attributes the format leaves out, by name. */
  readonly dropped: readonly DroppedXattr[];
}
