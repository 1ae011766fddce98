/**
 * release.json, `osguard/release/v1`: what belongs to a release, by size and digest. The role `release` signs it as a
 * DSSE envelope; whoever trusts that key needs nothing else to check every file of the folder.
 */

import { z } from 'zod';
import { FormatError } from '../bytes/index.ts';
import { canonicalJson, parseCanonicalJson } from '../json/index.ts';

export const releaseSchemaName = 'osguard/release/v1';
/** The payloadType of the signed envelope. */
export const releasePayloadType = 'application/vnd.osguard.release.v1+json';

/** Every byte of a file is covered: by one digest, or by the digests of its pieces and zeros everywhere else. */
export type ReleaseFile = WholeReleaseFile | SparseReleaseFile;

export interface WholeReleaseFile {
  /** Inside the release folder, with `/`; no absolute paths, no `..`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** A disk is mostly room: hashing that would take longer than everything else. */
export interface SparseReleaseFile extends Omit<WholeReleaseFile, 'sha256'> {
  /** In the order of the file, without overlap. All bytes outside of them are zero. */
  readonly pieces: readonly ReleasePiece[];
}

export interface ReleasePiece {
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Bytes, at least one. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface ReleasePackages {
  readonly count: number;
  /** See packageListDigest. */
  readonly sha256: string;
}

export interface ReleasePartition {
  readonly label: string;
  /** Partition type GUID, lower case. */
  readonly type: string;
  /** Partition GUID, lower case. */
  readonly uuid: string;
  /** Bytes from the start of the disk. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

export interface ReleaseManifest {
  readonly name: string;
  readonly version: string;
  /** Version of the kernel package. */
  readonly kernel: string;
  /** Debian's name, for example `amd64`. */
  readonly architecture: string;
  /** SOURCE_DATE_EPOCH of the build as ISO 8601 in UTC, whole seconds. */
  readonly created: string;
  /** Every file of the folder but release.json, sorted by path. */
  readonly files: readonly ReleaseFile[];
  /** dm-verity root hash of /usr, lower-case hex. */
  readonly rootHash: string;
  readonly packages: ReleasePackages;
  /** In the order of the disk. */
  readonly partitions: readonly ReleasePartition[];
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in lower-case hex');
const guid = z.string().regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'is no GUID in lower case');
const size = z.int().nonnegative();
const word = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9][A-Za-z0-9.+~:_-]*$/, 'has characters that are not allowed');
const path = z.string().max(255).refine(isInside, 'is no path inside the release folder');
const created = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'is no time in UTC like 2026-01-31T12:00:00Z')
  .refine((text) => !Number.isNaN(Date.parse(text)), 'is no time');

const piece = z.strictObject({ offset: size, size: z.int().positive(), sha256 });
const releaseFile = z.union([
  z.strictObject({ path, size, sha256 }),
  z
    .strictObject({ path, size, pieces: z.array(piece).max(1000) })
    .refine(arePiecesInside, 'pieces overlap, are not in order or end behind the file'),
]);

const schema = z.strictObject({
  schema: z.literal(releaseSchemaName),
  name: word,
  version: word,
  kernel: word,
  architecture: word,
  created,
  files: z.array(releaseFile).max(10_000).refine(isSorted, 'are not sorted by path'),
  rootHash: z.string().regex(/^(?:[0-9a-f]{2}){20,64}$/, 'is no root hash in lower-case hex'),
  packages: z.strictObject({ count: size, sha256 }),
  partitions: z
    .array(z.strictObject({ label: z.string().max(36), type: guid, uuid: guid, offset: size, size }))
    .max(128),
});

/** Canonical JSON. @throws FormatError (`not-encodable`) when a field is not what it has to be. */
export function encodeRelease(manifest: ReleaseManifest): Uint8Array<ArrayBuffer> {
  const checked = check({ schema: releaseSchemaName, ...manifest }, 'not-encodable');
  return new Uint8Array(Buffer.from(canonicalJson({ schema: releaseSchemaName, ...checked }), 'utf8'));
}

/** @throws FormatError unless `bytes` is what encodeRelease writes; unknown members are refused. */
export function parseRelease(bytes: Uint8Array): ReleaseManifest {
  return check(parseCanonicalJson(bytes, 'release.json'), 'malformed');
}

function check(value: unknown, code: 'malformed' | 'not-encodable'): ReleaseManifest {
  const parsed = schema.safeParse(value);
  if (parsed.success) {
    const { schema: _schema, ...manifest } = parsed.data;
    return manifest;
  }
  const wrong = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`);
  throw new FormatError(code, `release.json: ${wrong.slice(0, 5).join('; ')}`);
}

function isInside(text: string): boolean {
  const parts = text.split('/');
  return !parts.some((part) => part === '' || part === '.' || part === '..') && !/[\p{Cc}\\]/u.test(text);
}

function arePiecesInside({ size: end, pieces }: Omit<SparseReleaseFile, 'path'>): boolean {
  let at = 0;
  for (const each of pieces) {
    if (each.offset < at || each.offset + each.size > end) return false;
    at = each.offset + each.size;
  }
  return true;
}

function isSorted(files: readonly { readonly path: string }[]): boolean {
  return files.every((file, index) => index === 0 || (files[index - 1]?.path ?? '') < file.path);
}
