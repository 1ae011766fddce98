/** What differs between two images, part by part. */

import type { Finding } from '../inspect/index.ts';

export interface ImageDiff {
  readonly a: string;
  readonly b: string;
  /** Nothing differs, and nothing was left out because it could not be read. */
  readonly same: boolean;
  /** Parts in which something differs, in the order of the chain. */
  readonly parts: readonly PartDiff[];
  readonly findings: readonly (Finding & { readonly side: 'a' | 'b' })[];
}

export type PartId =
  | 'release'
  | 'partitions'
  | 'esp-files'
  | 'uki-sections'
  | 'signers'
  | 'command-line'
  | 'root-hash'
  | 'initrd-files'
  | 'ipe-decisions'
  | 'ipe-lines'
  | 'selinux'
  | 'packages'
  | 'usr-files';

export interface PartDiff {
  readonly id: PartId;
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  readonly entries: readonly DiffEntry[];
  /** Entries beyond the bound of the list; they are in the counts. */
  readonly omitted: number;
}

export interface DiffEntry {
  readonly change: 'added' | 'removed' | 'changed';
  readonly name: string;
  /** For `added` and `removed`, what there is; for `changed`, only what differs. */
  readonly fields: readonly FieldDiff[];
}

export interface FieldDiff {
  readonly field: string;
  readonly before?: string;
  readonly after?: string;
}
