/**
 * Whether a TPM went forward from one quote to the next (TPM 2.0 Library Part 1 section 36, Part 2 section 10.11.1). What
 * can be told: a TPM that was put back to an earlier state shows fewer resets, fewer restarts or an earlier clock than it
 * did before. What cannot: a state that is at most as old as {@link clockSlip}, reset more often since than the TPM was.
 */

/** TPMS_CLOCK_INFO without `safe`: a virtual TPM whose machine lost power says yes there, seen. */
export interface TpmClock {
  /** Milliseconds the TPM was powered, in all. */
  readonly clock: bigint;
  /** As the quote shows them; for keys outside the endorsement hierarchy the TPM adds a constant per key, modulo 2^32. */
  readonly resetCount: number;
  readonly restartCount: number;
}

/** Milliseconds by which the clock may be behind after power was lost: it is stored at least once in 2^22 ms. */
export const clockSlip = 4_194_304n;

/** How `later` shows that it was quoted before `earlier`, for people; undefined when it went forward. */
export function wentBack(earlier: TpmClock, later: TpmClock): string | undefined {
  const resets = serialDistance(earlier.resetCount, later.resetCount);
  if (resets < 0) return `it was reset ${-resets} times less`;
  const restarts = serialDistance(earlier.restartCount, later.restartCount);
  if (resets === 0 && restarts < 0) return `it was restarted ${-restarts} times less`;
  const behind = earlier.clock - later.clock;
  if (resets === 0 && restarts === 0) {
    return behind > 0n ? `its clock is ${behind} ms behind, in the same boot` : undefined;
  }
  return behind > clockSlip
    ? `its clock is ${behind} ms behind, more than a loss of power explains`
    : undefined;
}

/** How far `to` lies behind `from`, modulo 2^32: the constant makes both counters wrap at any time, distances stay true. */
function serialDistance(from: number, to: number): number {
  return (to - from) | 0;
}
