/** Trying again what may go right the next time: which failures, how often, and how long to wait. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpResponse } from './http.ts';

export interface RetryOptions {
  /** Tries in all; 5 unless given. */
  readonly attempts?: number;
  /** Milliseconds before the second try; doubles each time. 250 unless given. */
  readonly firstDelay?: number;
  /** From 0 to 1; tests give their own. */
  readonly random?: () => number;
  readonly pause?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
}

/** Longer than this nobody waits for a registry. Milliseconds. */
const longestDelay = 30_000;
const longestRetryAfter = 120_000;

const again: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ECONNABORTED',
  'ERR_STREAM_PREMATURE_CLOSE',
  'HPE_INVALID_EOF_STATE',
  'ERR_HTTP_SOCKET_ASSIGNED',
]);

/** 408 and 429 ask for it; the server errors are mostly those of proxies in front of a registry. */
export function isRetryStatus(status: number): boolean {
  return [408, 429, 500, 502, 503, 504].includes(status);
}

/** True for failures of the connection, as opposed to answers. */
export function isRetryError(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false;
  return again.has(error.code);
}

export interface Retry {
  /**
   * Counts a failure and waits.
   *
   * @returns false when there is no next try, or the server wants a longer wait than anybody has.
   */
  next(response?: HttpResponse, signal?: AbortSignal): Promise<boolean>;
  /** Something got through: the count begins again. */
  progress(): void;
}

export function startRetry(options: RetryOptions = {}): Retry {
  const { attempts = 5, firstDelay = 250, random = Math.random } = options;
  const pause = options.pause ?? ((milliseconds, signal) => sleep(milliseconds, undefined, { signal }));
  let failed = 0;
  return {
    async next(response, signal) {
      failed += 1;
      if (failed >= attempts) return false;
      const asked = response === undefined ? undefined : retryAfter(response.header('retry-after'));
      if (asked !== undefined && asked > longestRetryAfter) return false;
      // Jitter keeps many nodes that were cut off together from coming back together.
      const own = Math.min(firstDelay * 2 ** (failed - 1), longestDelay) * (0.5 + random() / 2);
      await pause(Math.max(own, asked ?? 0), signal);
      return true;
    },
    progress() {
      failed = 0;
    },
  };
}

/** RFC 9110 section 10.2.3: seconds or a date. Milliseconds from now. */
export function retryAfter(value: string | undefined, now: number = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
