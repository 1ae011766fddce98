/** How long to wait before the next try. */

export interface BackoffOptions {
  /** Seconds that no wait exceeds. */
  readonly longest: number;
  /** From 0 (inclusive) to 1. */
  readonly random: () => number;
}

/**
 * Seconds after `failures` failures in a row: 1, 2, 4, … of which the upper half is left to chance, so that nodes which
 * lost their verifier together do not come back together.
 */
export function backoff(failures: number, { longest, random }: BackoffOptions): number {
  const whole = Math.min(longest, 2 ** Math.min(failures - 1, 20));
  return whole / 2 + (whole / 2) * random();
}

/** Seconds until the next proof: up to a tenth earlier, for the same reason. */
export function spread(interval: number, random: () => number): number {
  return interval * (1 - random() / 10);
}
