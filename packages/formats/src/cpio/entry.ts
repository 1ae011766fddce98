/**
 * Entries of a cpio archive in the "newc" form, the one the kernel unpacks as initrd: Linux
 * Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c.
 */

import type { ByteSource } from '../bytes/index.ts';
import { encodeText } from '../bytes/index.ts';

export interface CpioAttributes {
  /** Relative, slash-separated, without dot components; bytes that are not UTF-8 as decodeText has them. */
  readonly path: string;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, up to 2106. */
  readonly mtime: number;
}

export type CpioNode =
  | {
      readonly kind: 'file';
      readonly body: ByteSource;
      /** Further names of the same file. */
      readonly links?: readonly string[];
    }
  | { readonly kind: 'directory' }
  | { readonly kind: 'symlink'; readonly target: string }
  | {
      readonly kind: 'character-device' | 'block-device';
      readonly major: number;
      readonly minor: number;
    }
  | { readonly kind: 'fifo' | 'socket' };

/** What is to be written. */
export type CpioEntry = CpioAttributes & CpioNode;

export type CpioKind = CpioNode['kind'];

/** Upper bits of the mode field (inode(7)). */
export const typeBits: Readonly<Record<CpioKind, number>> = {
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

export const headerSize = 110;
export const trailer = 'TRAILER!!!';
/** PATH_MAX of the kernel, terminating NUL included: longer names and link targets are skipped by it. */
export const maxPath = 4096;

/** Why the kernel would not make a file of this name where it says, or undefined when it would. */
export function pathProblem(path: string): string | undefined {
  if (encodeText(path).length >= maxPath) return `is longer than ${maxPath - 1} bytes`;
  if (path.includes('\0')) return 'has a NUL';
  if (path === trailer) return 'is the name of the end mark';
  if (path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    return 'is not a plain relative path';
  }
  return undefined;
}
