/** What the name of an archive's entry says: OCI image specification, layer.md, "Whiteouts". */

import { FormatError } from '@osguard/formats/bytes';
import type { TarReadEntry } from '@osguard/formats/tar';
import { safePath } from '@osguard/formats/tar';

const whiteoutPrefix = '.wh.';
const bookkeepingPrefix = '.wh..wh.';
const opaqueName = '.wh..wh..opq';

export type LayerName =
  /** An entry of the layer; `name` is '' for the root itself. */
  | { readonly kind: 'entry'; readonly parent: string; readonly name: string }
  /** Lower layers' `name` in `parent` is not there any more. */
  | { readonly kind: 'whiteout'; readonly parent: string; readonly name: string }
  /** Nothing of lower layers' `parent` is there any more. */
  | { readonly kind: 'opaque'; readonly parent: string }
  /** What AUFS notes down for itself. */
  | { readonly kind: 'bookkeeping' };

/** @throws FormatError (`malformed`) for a name that is not one of a file below the root. */
export function layerName({ path, kind, offset }: TarReadEntry): LayerName {
  // Some builders name the root "/"; no other absolute name is taken.
  const safe = kind === 'directory' && path === '/' ? '' : safePath(path, offset);
  const slash = safe.lastIndexOf('/');
  const parent = safe.slice(0, Math.max(slash, 0));
  const name = safe.slice(slash + 1);
  if (!safe.includes(whiteoutPrefix)) return { kind: 'entry', parent, name };
  const folders = parent.split('/');
  if (folders.some((folder) => folder.startsWith(bookkeepingPrefix))) return { kind: 'bookkeeping' };
  if (folders.some((folder) => folder.startsWith(whiteoutPrefix))) {
    throw new FormatError('malformed', `${JSON.stringify(path)} is inside a whiteout`, { offset });
  }
  if (name === opaqueName) return { kind: 'opaque', parent };
  if (name.startsWith(bookkeepingPrefix)) return { kind: 'bookkeeping' };
  if (!name.startsWith(whiteoutPrefix)) return { kind: 'entry', parent, name };
  const hidden = name.slice(whiteoutPrefix.length);
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw new FormatError('malformed', `${JSON.stringify(path)} hides no file one could name`, { offset });
  }
  return { kind: 'whiteout', parent, name: hidden };
}

export function joinName(parent: string, name: string): string {
  return parent === '' ? name : `${parent}/${name}`;
}
