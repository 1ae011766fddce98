/** What the proof says of one protection, and how that follows from what was seen. */

export type RowResult = 'blocked' | 'not-blocked' | 'untestable';

/** Whether the same thing works where it is allowed: an attack that fails because the test is broken proves nothing. */
export type ControlResult = 'ran' | 'failed' | 'none';

export interface Row {
  /** Stable name of the attack, for example `exec-memfd`. */
  readonly id: string;
  /** What holds: the mechanism that has to refuse. */
  readonly protection: string;
  readonly result: RowResult;
  readonly control: ControlResult;
  /** The kernel's or the firmware's own line where there is one, else what the intruder was told. */
  readonly evidence: string;
  readonly seconds: number;
  /** Every attempt and the control in words, in the order they were made. */
  readonly details: readonly string[];
}

/** One try of the intruder. */
export interface Attempt {
  readonly succeeded: boolean;
  readonly detail: string;
}

/** What the intruder reports of one attack. */
export interface Observation {
  readonly attempts: readonly Attempt[];
  readonly control: Attempt | null;
  /** Lines of the kernel log that came while he tried. */
  readonly kernel: readonly string[];
  readonly seconds: number;
}

export interface RowName {
  readonly id: string;
  readonly protection: string;
}

/**
 * Blocked means: there was at least one attempt, none succeeded, and the control (if the attack has one) worked.
 * When the control failed, nothing was shown, whatever the attempts did.
 */
export function judgeRow(row: RowName, seen: Observation): Row {
  const control: ControlResult = seen.control === null ? 'none' : seen.control.succeeded ? 'ran' : 'failed';
  const success = seen.attempts.find((attempt) => attempt.succeeded);
  const details = [
    ...seen.attempts.map(({ succeeded, detail }) => `${succeeded ? 'SUCCEEDED' : 'refused'}: ${detail}`),
    ...(seen.control === null ? [] : [`control ${control}: ${seen.control.detail}`]),
  ];
  const common = { ...row, control, seconds: seen.seconds, details };
  if (success !== undefined) return { ...common, result: 'not-blocked', evidence: success.detail };
  if (seen.attempts.length === 0) return { ...common, result: 'untestable', evidence: 'no attempt was made' };
  if (control === 'failed') {
    return { ...common, result: 'untestable', evidence: `the control failed: ${seen.control?.detail ?? ''}` };
  }
  return { ...common, result: 'blocked', evidence: kernelEvidence(seen) };
}

/** A row that could not be tried, and why. Never reported as blocked. */
export function untestable(row: RowName, reason: string): Row {
  return { ...row, result: 'untestable', control: 'none', evidence: reason, seconds: 0, details: [] };
}

function kernelEvidence(seen: Observation): string {
  const refusal = /ipe_op=|avc: +denied|[Ll]ockdown|verity|signature|Loading of|rejected/;
  const line = seen.kernel.find((text) => refusal.test(text));
  return line ?? seen.attempts[0]?.detail ?? '';
}

export interface ProofSummary {
  readonly blocked: number;
  readonly notBlocked: number;
  readonly untestable: number;
  readonly seconds: number;
}

export function summarise(rows: readonly Row[], seconds: number): ProofSummary {
  const count = (result: RowResult): number => rows.filter((row) => row.result === result).length;
  return {
    blocked: count('blocked'),
    notBlocked: count('not-blocked'),
    untestable: count('untestable'),
    seconds,
  };
}
