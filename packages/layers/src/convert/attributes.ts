/** Owner, times, permissions and extended attributes of an entry, as the image has them. */

import { FormatError } from '@osguard/formats/bytes';
import type { ErofsMetadata } from '@osguard/formats/erofs';
import type { TarReadEntry } from '@osguard/formats/tar';
import type { DroppedXattr } from './types.ts';

/** The uid and gid that mean "none" to the kernel. */
const noId = 0xffff_ffff;
/** What is listed by name of attributes that are left out. */
const maxDroppedNames = 64;

/**
 * Attributes that mean the same on every host. Left out are: `trusted.`, by which a layer could steer overlayfs
 * (redirects out of its own directory), and `user.overlay.`, the same for overlays without privileges; labels and
 * signatures of other machines' policies (`security.selinux`, `security.ima`, …).
 */
function isKept(name: string): boolean {
  if (name.startsWith('user.')) return name.length > 5 && !name.startsWith('user.overlay.');
  return (
    name === 'security.capability' ||
    name === 'system.posix_acl_access' ||
    name === 'system.posix_acl_default'
  );
}

export class XattrFilter {
  readonly #dropped = new Map<string, number>();

  /** By name, in the order of the names. */
  get dropped(): readonly DroppedXattr[] {
    return Array.from(this.#dropped, ([name, count]) => ({ name, count })).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    );
  }

  keep(xattrs: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> | undefined {
    if (xattrs.size === 0) return undefined;
    const kept = new Map<string, Uint8Array>();
    for (const [name, value] of xattrs) {
      if (isKept(name)) kept.set(name, value);
      else this.#drop(name);
    }
    return kept.size === 0 ? undefined : kept;
  }

  #drop(name: string): void {
    const known = this.#dropped.get(name);
    // A hostile archive has as many names as it likes.
    const key = known === undefined && this.#dropped.size >= maxDroppedNames ? 'others' : name.slice(0, 255);
    this.#dropped.set(key, (this.#dropped.get(key) ?? 0) + 1);
  }
}

/** @throws FormatError (`malformed`) for an owner no file can have. */
export function metadataOf(entry: TarReadEntry, filter: XattrFilter): ErofsMetadata {
  const { mode, uid, gid, mtime, offset, kind } = entry;
  if (uid >= noId || gid >= noId) {
    throw new FormatError('malformed', `${JSON.stringify(entry.path)} belongs to ${uid}:${gid}`, { offset });
  }
  const xattrs = filter.keep(entry.xattrs);
  return {
    // Linux gives every symlink these, whatever archives say.
    mode: kind === 'symlink' ? 0o777 : mode,
    uid,
    gid,
    mtime: mtime.seconds,
    mtimeNsec: mtime.nanoseconds,
    ...(xattrs !== undefined && { xattrs }),
  };
}
