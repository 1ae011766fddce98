/**
 * The list of revoked layers, `osguard/layer-revocations/v1`: root hashes and signers a host must no longer open, although
 * their signatures are good. The role `release` signs it as a DSSE envelope. A host keeps the highest version it has
 * seen and takes no lower one.
 */

import { z } from 'zod';
import { FormatError } from '../bytes/index.ts';
import { canonicalJson, parseCanonicalJson } from '../json/index.ts';

const schemaName = 'osguard/layer-revocations/v1';
/** The payloadType of the signed envelope. */
export const layerRevocationsType = 'application/vnd.osguard.layer-revocations.v1+json';
/** Of the envelope. Bytes. */
export const largestRevocations: number = 4 * 1024 * 1024;

export interface RevokedRootHash {
  /** Lower-case hex. */
  readonly rootHash: string;
  readonly reason: string;
}

export interface RevokedSigner {
  /** SHA-256 of the certificate, DER, lower-case hex. */
  readonly fingerprint: string;
  readonly reason: string;
}

export interface LayerRevocations {
  /** Each list names everything that is revoked, so only the newest counts. */
  readonly version: number;
  /** ISO 8601 in UTC, whole seconds. */
  readonly issued: string;
  readonly rootHashes: readonly RevokedRootHash[];
  readonly signers: readonly RevokedSigner[];
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in lower-case hex');
const reason = z.string().max(200);
const schema = z.strictObject({
  schema: z.literal(schemaName),
  version: z.int().positive(),
  issued: z
    .string()
    .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'is no time in UTC like 2026-01-31T12:00:00Z'),
  rootHashes: z.array(z.strictObject({ rootHash: sha256, reason })).max(20_000),
  signers: z.array(z.strictObject({ fingerprint: sha256, reason })).max(1_000),
});

/** Canonical JSON. @throws FormatError (`not-encodable`) */
export function encodeLayerRevocations(list: LayerRevocations): Uint8Array<ArrayBuffer> {
  const value = check({ schema: schemaName, ...list }, 'not-encodable');
  return new Uint8Array(Buffer.from(canonicalJson({ schema: schemaName, ...value }), 'utf8'));
}

/** @throws FormatError; says nothing about who signed it. */
export function parseLayerRevocations(bytes: Uint8Array): LayerRevocations {
  if (bytes.length > largestRevocations) throw new FormatError('too-large', 'revocations: too long');
  return check(parseCanonicalJson(bytes, 'revocations'), 'malformed');
}

function check(value: unknown, code: 'malformed' | 'not-encodable'): LayerRevocations {
  const { data, error } = schema.safeParse(value);
  if (data === undefined) {
    const [issue] = error.issues;
    throw new FormatError(code, `revocations: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
  }
  const { version, issued, rootHashes, signers } = data;
  return { version, issued, rootHashes, signers };
}
