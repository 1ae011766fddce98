/** What the snapshotter keeps about snapshots and layers. */

/** Numbers of containerd's snapshots API. */
export const kinds = { view: 1, active: 2, committed: 3 } as const;
export type Kind = (typeof kinds)[keyof typeof kinds];

/** One verified layer: an EROFS image with its hash tree appended, in a file of its own. */
export interface Layer {
  readonly id: number;
  /** Lower-case hex. */
  readonly rootHash: string;
  /** `sha256:…`, as the verified image itself names it. */
  readonly diffId: string;
  /** Of image and hash tree together, in bytes. */
  readonly size: number;
  /** Where the dm-verity superblock lies, in bytes. */
  readonly hashOffset: number;
  /** False only where the signed definition says `mode: audit`. */
  readonly signed: boolean;
}

export interface Snapshot {
  readonly id: number;
  /** The key of an active snapshot or view, the name of a committed one. */
  readonly key: string;
  readonly parent: string;
  readonly kind: Kind;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly updated: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The layer this snapshot adds to its parent; a container's own snapshot has none. */
  readonly layer: Layer | undefined;
}
