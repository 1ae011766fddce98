/** The kinds of values that messages between node, operator and verifier are made of. */

import { z } from 'zod';

/** Standard base64 with padding, of at most `most` bytes. */
export function base64(most: number): z.ZodString {
  return z
    .string()
    .max(Math.ceil(most / 3) * 4)
    .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'is no standard base64');
}

/** SHA-256 of the TPMT_PUBLIC of the node's endorsement key, lower-case hex. */
export const nodeId: z.ZodString = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'is no node id: 64 lower-case hex digits');

export const sha256Hex: z.ZodString = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in lower-case hex');

/** What people call a node, a secret, a token or a webhook. */
export const word: z.ZodString = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'has characters that are not allowed (letters, digits, . _ -)');

/** ISO 8601 in UTC with milliseconds. */
export const time: z.ZodISODateTime = z.iso.datetime({ precision: 3 });

/** `sha256` PCR values: index in decimal to 32 bytes in lower-case hex. */
export const pcrValues: z.ZodRecord<z.ZodString, z.ZodString> = z.record(
  z.string().regex(/^(?:[0-9]|1[0-9]|2[0-3])$/, 'is no PCR from 0 to 23'),
  sha256Hex,
);
