/** in-toto statement v1: what is claimed (predicate) about which artefacts (subjects). */

import { z } from 'zod';
import { FormatError } from '../bytes/index.ts';
import type { JsonValue } from '../json/index.ts';
import { canonicalJson } from '../json/index.ts';

export const statementType = 'https://in-toto.io/Statement/v1';
/** The payloadType of envelopes that hold statements. */
export const inTotoPayloadType = 'application/vnd.in-toto+json';

export interface InTotoSubject {
  readonly name?: string;
  readonly uri?: string;
  /** Lower-case hex by algorithm; at least one. */
  readonly digest: Readonly<Record<string, string>>;
}

export interface InTotoStatement {
  /** At least one. */
  readonly subject: readonly InTotoSubject[];
  /** A URI, for example `https://slsa.dev/provenance/v1`. */
  readonly predicateType: string;
  readonly predicate: Readonly<Record<string, JsonValue>>;
}

const hex = z.string().regex(/^(?:[0-9a-f]{2})+$/, 'is not lower-case hex');
const schema = z.object({
  _type: z.literal(statementType),
  subject: z
    .array(
      z.object({
        name: z.string().optional(),
        uri: z.string().optional(),
        digest: z.record(z.string(), hex).refine((digest) => Object.keys(digest).length > 0, 'is empty'),
      }),
    )
    .min(1)
    .max(100_000),
  predicateType: z.string().min(1),
  predicate: z.record(z.string(), z.json()).default({}),
});

/** Canonical JSON. @throws FormatError when the statement is not one. */
export function encodeStatement(statement: InTotoStatement): Uint8Array<ArrayBuffer> {
  const value = { _type: statementType, ...statement };
  check(value, 'not-encodable');
  return new Uint8Array(Buffer.from(canonicalJson(value), 'utf8'));
}

/** @throws FormatError unless `bytes` is a statement; unknown members are ignored, as in-toto demands. */
export function parseStatement(bytes: Uint8Array): InTotoStatement {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError('not-this-format', 'in-toto statement: no JSON', { cause });
  }
  return check(value, 'malformed');
}

function check(value: unknown, code: 'malformed' | 'not-encodable'): InTotoStatement {
  const parsed = schema.safeParse(value);
  if (parsed.success) {
    const { predicateType, predicate } = parsed.data;
    const subject = parsed.data.subject.map(({ name, uri, digest }) => ({
      digest,
      ...(name !== undefined && { name }),
      ...(uri !== undefined && { uri }),
    }));
    return { subject, predicateType, predicate };
  }
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new FormatError(code, `in-toto statement: ${where}: ${issue?.message ?? 'not allowed'}`);
}
