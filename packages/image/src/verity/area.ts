/** Where data and tree lie: a file, a block device, or a part of either, for example a partition of a disk image. */

import type { Stats } from 'node:fs';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { FormatError } from '@osguard/formats/bytes';

export interface VerityArea {
  readonly path: string;
  /** Byte of the file at which the area begins; 0 unless given. */
  readonly offset?: number;
  /** Bytes; up to the end of the file unless given. A block device has no such end: give the size. */
  readonly size?: number;
}

export interface OpenArea extends Disposable {
  readonly path: string;
  readonly fd: number;
  /** Byte of the file at which the area begins. */
  readonly offset: number;
  /** Bytes of the area that are really there; undefined for a device, which only reading can tell. */
  readonly present: number | undefined;
  /** Bytes the area was said to have. */
  readonly size: number | undefined;
  readonly stats: Stats;
}

/** @throws FormatError `not-encodable` for a folder or an impossible offset or size; system errors pass through. */
export function openArea({ path, offset = 0, size }: VerityArea, flags: 'r' | 'r+'): OpenArea {
  for (const value of [offset, size ?? 0]) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new FormatError('not-encodable', `${path}: ${value} is no offset or size`);
    }
  }
  const fd = openSync(path, flags);
  const stats = fstatSync(fd);
  if (stats.isDirectory()) {
    closeSync(fd);
    throw new FormatError('not-encodable', `${path} is a folder, a file or block device was expected`);
  }
  const left = stats.isFile() ? Math.max(0, stats.size - offset) : undefined;
  const present = left === undefined || size === undefined ? left : Math.min(left, size);
  return { path, fd, offset, present, size: size ?? left, stats, [Symbol.dispose]: () => closeSync(fd) };
}

/** Whether both are the same file or device, whatever their names. */
export function isSameFile(a: OpenArea, b: OpenArea): boolean {
  return a.stats.dev === b.stats.dev && a.stats.ino === b.stats.ino;
}
