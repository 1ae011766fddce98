/** The one interface to places that hold images: registries, OCI layouts, docker archives. Bound to one repository. */

import type { Descriptor, Digest, Manifest } from '@osguard/formats/oci';

export interface StoredManifest {
  readonly descriptor: Descriptor;
  /** As stored: their digest is the descriptor's. */
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

export interface StoreOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface BlobOptions extends StoreOptions {
  /** Skip this many bytes; what is left cannot be checked against the digest then. 0 unless given. */
  readonly offset?: number;
}

/** Content to be pushed; it may be asked for more than once, from any offset. */
export type OpenContent = (offset: number) => AsyncIterable<Uint8Array>;

export interface PushBlobOptions extends StoreOptions {
  /** Another repository of the same registry that has the blob already. */
  readonly mountFrom?: string;
  readonly onProgress?: (done: number) => void;
}

export interface PushManifestOptions extends StoreOptions {
  readonly mediaType: string;
  readonly tag?: string;
}

export interface ReferrersOptions extends StoreOptions {
  readonly artifactType?: string;
}

export interface ImageStore {
  readonly kind: 'registry' | 'layout' | 'archive';
  /** For people, without tag or digest: `registry.example/app`, `oci:folder`. */
  readonly name: string;
  /** @throws LayerError `not-found`, `digest`; FormatError when it is no manifest. */
  manifest(which: string, options?: StoreOptions): Promise<StoredManifest>;
  has(descriptor: Descriptor, options?: StoreOptions): Promise<boolean>;
  /**
   * The bytes in order. Throws before the end of the loop when they are not the descriptor's: a reader that did not
   * reach the end must not use what it got.
   */
  blob(descriptor: Descriptor, options?: BlobOptions): AsyncIterable<Uint8Array>;
  /** @returns what happened: `exists` when nothing had to be sent. */
  pushBlob(
    descriptor: Descriptor,
    open: OpenContent,
    options?: PushBlobOptions,
  ): Promise<'exists' | 'mounted' | 'pushed'>;
  /** Also makes it findable as a referrer when it has a subject. */
  pushManifest(bytes: Uint8Array, options: PushManifestOptions): Promise<Descriptor>;
  /** Manifests whose subject is `subject`; in the order of the store. */
  referrers(subject: Digest, options?: ReferrersOptions): Promise<readonly Descriptor[]>;
  tags(options?: StoreOptions): Promise<readonly string[]>;
  /** Where what was pushed appears all at once, this is when; absent where it is there at once. */
  commit?(): Promise<void>;
  /** Ends connections; the store is of no use afterwards. */
  close(): Promise<void>;
}
