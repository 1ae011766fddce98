/** A request that is not granted. The reason is all a stranger learns; operators also get the message. */

import { StoreError } from '../store/index.ts';
import type { ReasonCode } from '../protocol/index.ts';

const statuses: Readonly<Record<ReasonCode, number>> = {
  malformed: 400,
  'too-large': 413,
  'not-found': 404,
  'rate-limited': 429,
  busy: 503,
  unavailable: 503,
  internal: 500,
  unauthorised: 401,
  forbidden: 403,
  conflict: 409,
  'endorsement-refused': 403,
  'reenrolment-needed': 403,
  'activation-refused': 403,
  'unknown-node': 404,
  'nonce-refused': 403,
  'channel-refused': 403,
  'tls-key-refused': 400,
  'evidence-refused': 403,
  'not-trusted': 403,
};

export interface RefusedOptions {
  /** For operators and the log, never for strangers. */
  readonly message?: string;
  /** Seconds, for Retry-After. */
  readonly retryAfter?: number;
  readonly cause?: unknown;
}

export class Refused extends Error {
  override readonly name = 'Refused';
  readonly reason: ReasonCode;
  readonly status: number;
  readonly retryAfter: number | undefined;

  constructor(reason: ReasonCode, { message = reason, retryAfter, cause }: RefusedOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.status = statuses[reason];
    this.retryAfter = retryAfter ?? (this.status === 503 || this.status === 429 ? 2 : undefined);
  }
}

export function statusOf(reason: ReasonCode): number {
  return statuses[reason];
}

/** Any error as a refusal; what is no known failure becomes `internal` and says nothing. */
export function asRefused(error: unknown): Refused {
  if (error instanceof Refused) return error;
  if (error instanceof StoreError) {
    const { message } = error;
    if (error.code === 'busy') return new Refused('busy', { message, cause: error });
    if (error.code === 'unavailable' || error.code === 'closed') {
      return new Refused('unavailable', { message, cause: error });
    }
  }
  return new Refused('internal', { cause: error });
}
