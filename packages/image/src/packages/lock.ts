/**
 * `osguard.lock`: the exact packages of a build. JSON, one package a line, sorted by name, so that a change reads well
 * in a review. It names no mirror: `path` is relative to whatever mirror of the archive is used, `sha256` decides.
 * `time` is the newest date of the archive's signed indexes and dates everything in the image.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';

import { ImageError } from '../error.ts';

export type ArchiveName = 'debian' | 'security';
export type Stage = 'base' | 'extra';

export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: 'amd64' | 'all';
  /** Which archive `path` is relative to. */
  readonly archive: ArchiveName;
  readonly path: string;
  /** Of the .deb. Bytes. */
  readonly size: number;
  /** Of the .deb. Lower-case hexadecimal. */
  readonly sha256: string;
  /** `base` packages are installed before, and apart from, `extra` ones. */
  readonly stage: Stage;
}

export interface Lock {
  readonly schema: 'osguard-lock/v1';
  readonly architecture: 'amd64';
  readonly suite: string;
  /** Seconds since 1970. */
  readonly time: number;
  /** What was asked for; a definition that asks for something else needs a new lock. */
  readonly request: { readonly base: readonly string[]; readonly extra: readonly string[] };
  /** Sorted by name. */
  readonly packages: readonly LockedPackage[];
}

const lockedPackage = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9+.-]{1,99}$/),
  version: z.string().regex(/^[0-9][0-9A-Za-z.+:~-]{0,199}$/),
  architecture: z.enum(['amd64', 'all']),
  archive: z.enum(['debian', 'security']),
  path: z.string().regex(/^pool\/(?:(?!\.{1,2}\/)[A-Za-z0-9.+_~%-]+\/)+[A-Za-z0-9.+_~%-]+\.deb$/),
  size: z
    .int()
    .min(1)
    .max(4 * 1024 ** 3),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  stage: z.enum(['base', 'extra']),
});
const requested = z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]{1,99}(?:\/[a-z-]{1,40})?$/)).max(2000);
const lockSchema: z.ZodType<Lock> = z.strictObject({
  schema: z.literal('osguard-lock/v1'),
  architecture: z.literal('amd64'),
  suite: z.string().regex(/^[a-z]{2,20}$/),
  time: z
    .int()
    .min(0)
    .max(2 ** 40),
  request: z.strictObject({ base: requested, extra: requested }),
  packages: z.array(lockedPackage).min(1).max(20_000),
});

/** UTF-16 units. */
const largestLock = 8 * 1024 * 1024;

/** The text of a lock: the same lock gives the same bytes. */
export function encodeLock(lock: Lock): string {
  const { packages, request, ...head } = lock;
  const lines = sorted(packages).map((entry) => `    ${JSON.stringify(orderedPackage(entry))}`);
  const fields = Object.entries({ ...head, request }).map(
    ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},`,
  );
  return `{\n${fields.join('\n')}\n  "packages": [\n${lines.join(',\n')}\n  ]\n}\n`;
}

function orderedPackage({
  name,
  version,
  architecture,
  archive,
  path,
  size,
  sha256,
  stage,
}: LockedPackage): LockedPackage {
  return { name, version, architecture, stage, archive, path, size, sha256 };
}

/** @throws ImageError `package` when the text is not a lock; `file` is how the person called it */
export function parseLock(text: string, file = 'osguard.lock'): Lock {
  const bad = (what: string): ImageError =>
    new ImageError('package', `${file} is not a usable lock: ${what}`, {
      hint: 'build without --lock to make a new one',
    });
  if (text.length > largestLock) throw bad(`it has ${text.length} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(cause instanceof Error ? cause.message.slice(0, 200) : 'not JSON');
  }
  const parsed = lockSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw bad(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  const lock = parsed.data;
  const names = new Set(lock.packages.map(({ name }) => name));
  if (names.size !== lock.packages.length) throw bad('a package is named twice');
  return { ...lock, packages: sorted(lock.packages) };
}

/** Of the canonical text. Lower-case hexadecimal. */
export function lockDigest(lock: Lock): string {
  return createHash('sha256').update(encodeLock(lock)).digest('hex');
}

function sorted(packages: readonly LockedPackage[]): readonly LockedPackage[] {
  return packages.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
