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

/** The name and the mechanism of a row, without anything else that may be known of it. */
export interface RowName {
  readonly id: string;
  readonly protection: string;
}

/**
 * Blocked means: there was at least one attempt, none succeeded, and every control that was made worked. A control that
 * failed shows nothing, whatever the attempts did. `unprotected` is the same attack where nothing is enforced: it is a
 * control when the attack got through there.
 */
export function judgeRow({ id, protection }: RowName, seen: Observation, unprotected?: Observation): Row {
  const controls = [
    ...(seen.control === null ? [] : [seen.control]),
    ...(unprotected === undefined ? [] : [unprotectedControl(unprotected, seen.control)]),
  ].filter((control) => control !== undefined);
  const failed = controls.find((control) => !control.succeeded);
  const control: ControlResult = controls.length === 0 ? 'none' : failed === undefined ? 'ran' : 'failed';
  const success = seen.attempts.find((attempt) => attempt.succeeded);
  const details = [
    ...seen.attempts.map(({ succeeded, detail }) => `${succeeded ? 'SUCCEEDED' : 'refused'}: ${detail}`),
    ...controls.map(({ succeeded, detail }) => `control ${succeeded ? 'ran' : 'FAILED'}: ${detail}`),
    ...(unprotected?.attempts ?? []).map(
      ({ succeeded, detail }) => `without protection ${succeeded ? 'succeeds' : 'fails too'}: ${detail}`,
    ),
    ...seen.kernel.map((line) => `kernel: ${line}`),
  ];
  const common = { id, protection, control, seconds: seen.seconds, details };
  if (success !== undefined) return { ...common, result: 'not-blocked', evidence: success.detail };
  if (seen.attempts.length === 0) return { ...common, result: 'untestable', evidence: 'no attempt was made' };
  if (failed !== undefined) {
    return { ...common, result: 'untestable', evidence: `the control failed: ${failed.detail}` };
  }
  return { ...common, result: 'blocked', evidence: kernelEvidence(seen) };
}

/** Where the host's own control ran, an attack that nothing lets through adds no doubt; without one it shows nothing. */
function unprotectedControl(unprotected: Observation, own: Attempt | null): Attempt | undefined {
  const success = unprotected.attempts.find(({ succeeded }) => succeeded);
  if (success !== undefined) return { succeeded: true, detail: `without protection: ${success.detail}` };
  if (own !== null) return undefined;
  const first = unprotected.attempts[0] ?? unprotected.control;
  return {
    succeeded: false,
    detail: `without protection it fails too: ${first?.detail ?? 'nothing was tried'}`,
  };
}

/** A row that could not be tried, and why. Never reported as blocked. */
export function untestable(
  { id, protection }: RowName,
  reason: string,
  details: readonly string[] = [],
): Row {
  return { id, protection, result: 'untestable', control: 'none', evidence: reason, seconds: 0, details };
}

const refusal =
  /ipe_op=|avc: +denied|[Ll]ockdown:|verity|signature|Loading of|rejected|taint|osguard-layers.*osguard: /;

function kernelEvidence(seen: Observation): string {
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
