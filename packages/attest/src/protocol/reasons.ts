/** Why the verifier said no: all a stranger learns. The body of every such answer is `{"reason": CODE}`. */

import { z } from 'zod';

export const reasonCodes = [
  /** The request is not what this address takes. */
  'malformed',
  'too-large',
  'not-found',
  'rate-limited',
  /** Too much is under way at once; the answer says when to try again (Retry-After). */
  'busy',
  /** The verifier cannot record decisions now, so it makes none. */
  'unavailable',
  'internal',
  /** No operator's token, or one that is not known. */
  'unauthorised',
  /** The token's role does not allow this. */
  'forbidden',
  /** Something with this name is there already, or not in a state that allows this. */
  'conflict',
  /** The endorsement key leads to no configured root and is on no list. */
  'endorsement-refused',
  /** The node is known with another attestation key: an operator has to allow it to enrol again. */
  'reenrolment-needed',
  /** The enrolment is unknown, used up or expired, or the secret was wrong. */
  'activation-refused',
  /** No such node, or it has to enrol again. */
  'unknown-node',
  /** The nonce is unknown, used, expired or another node's. */
  'nonce-refused',
  /** The TLS client key of this connection is missing or not the one in the message. */
  'channel-refused',
  /** The TLS client key of this connection is none on the curve P-256. */
  'tls-key-refused',
  /** The quote does not prove anything: not by this node's attestation key, or not over what was sent. */
  'evidence-refused',
  /** Secrets: this node is not trusted now on this connection. */
  'not-trusted',
] as const;

export type ReasonCode = (typeof reasonCodes)[number];

export const refusalSchema: z.ZodObject<{
  reason: z.ZodEnum<{ [Code in ReasonCode]: Code }>;
  message: z.ZodOptional<z.ZodString>;
}> = z.object({
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same list as an object
  reason: z.enum(reasonCodes) as z.ZodEnum<{ [Code in ReasonCode]: Code }>,
  /** For operators only. */
  message: z.string().optional(),
});

export interface Refusal {
  readonly reason: ReasonCode;
  readonly message?: string | undefined;
}
