/**
 * reference-values.json, `osguard/reference-values/v1`: what a machine that boots exactly this release measures. For
 * every PCR the release decides, its value after each phase of the boot and the events that make it; for the PCRs
 * firmware decides, rules over their events. Reference Values in the sense of RFC 9334.
 */

import { z } from 'zod';
import { FormatError } from '../bytes/index.ts';
import { canonicalJson, parseCanonicalJson } from '../json/index.ts';
import { assertReplays } from './replay.ts';
import { firmwareRuleSchema } from './rules.ts';
import type { ReferenceValues } from './types.ts';
import { bootPhases } from './types.ts';

export const referenceValuesSchemaName = 'osguard/reference-values/v1';

const hex = z.string().regex(/^(?:[0-9a-f]{64}|[0-9a-f]{96})$/, 'is no digest in lower-case hex');
const line = z.string().min(1).max(512);
const pcr = z.int().min(0).max(23);

const eventSchema = z.strictObject({
  log: z.enum(['firmware', 'userspace']),
  type: z.string().min(1).max(64),
  digest: hex,
  what: line,
  source: line,
  text: z.string().max(65_536).exactOptional(),
  begins: z.enum(bootPhases).exactOptional(),
});

const schema = z.strictObject({
  schema: z.literal(referenceValuesSchemaName),
  name: z.string().min(1).max(128),
  version: z.string().min(1).max(128),
  bank: z.enum(['sha256', 'sha384']),
  pcrs: z
    .array(
      z.strictObject({
        pcr,
        name: z.string().min(1).max(64),
        events: z.array(eventSchema).max(256),
        values: z.strictObject({
          firmware: hex,
          'enter-initrd': hex,
          'leave-initrd': hex,
          sysinit: hex,
          ready: hex,
        }),
      }),
    )
    .max(24)
    .refine(inOrder, 'are not sorted by number, each once'),
  firmware: z.array(firmwareRuleSchema).max(64),
});

/** Canonical JSON. @throws FormatError (`not-encodable`) when a field is not what it has to be. */
export function encodeReferenceValues(values: ReferenceValues): Uint8Array<ArrayBuffer> {
  const checked = check({ schema: referenceValuesSchemaName, ...values }, 'not-encodable');
  const text = canonicalJson({ schema: referenceValuesSchemaName, ...checked });
  return new Uint8Array(Buffer.from(text, 'utf8'));
}

/** Bytes of the largest file that is read. */
const largest = 4_194_304;

/** @throws FormatError unless `bytes` is what encodeReferenceValues writes; unknown members are refused. */
export function parseReferenceValues(bytes: Uint8Array): ReferenceValues {
  if (bytes.length > largest) {
    throw new FormatError('too-large', `reference-values.json: ${bytes.length} bytes, more than ${largest}`);
  }
  return check(parseCanonicalJson(bytes, 'reference-values.json'), 'malformed');
}

function check(value: unknown, code: 'malformed' | 'not-encodable'): ReferenceValues {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`);
    throw new FormatError(code, `reference-values.json: ${wrong.slice(0, 5).join('; ')}`);
  }
  const { schema: _schema, ...values } = parsed.data;
  assertReplays(values, code);
  return values;
}

function inOrder(pcrs: readonly { readonly pcr: number }[]): boolean {
  return pcrs.every((each, index) => index === 0 || (pcrs[index - 1]?.pcr ?? 0) < each.pcr);
}
