/** How one check says what it found; the list that runs them is in verify.ts. */

import { FormatError } from '@osguard/formats/bytes';
import type { CheckId } from './ids.ts';
import type { Material } from './material.ts';
import type { AttestCheck } from './types.ts';

/** Everything but the name of the check. */
export interface Finding {
  readonly ok: boolean;
  readonly message: string;
  readonly expected?: string | undefined;
  readonly found?: string | undefined;
  readonly where?: string | undefined;
}

export interface CheckDefinition {
  readonly id: CheckId;
  /** What is claimed, for people; the message of the check when it holds. */
  readonly claim: string;
  /** Returns nothing when the claim holds; throws {@link Refused} or a FormatError when it does not. */
  readonly run: (material: Material) => Holds | undefined | void;
}

/** What a check that holds wants to tell. */
export interface Holds {
  /** Instead of the claim, where that would say too much. */
  readonly message?: string;
  readonly found?: string;
  readonly where?: string;
}

/** The claim does not hold. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly findings: readonly Omit<Finding, 'ok'>[];

  constructor(message: string, details: Omit<Finding, 'ok' | 'message'> = {}) {
    super(message);
    this.findings = [{ ...details, message }];
  }
}

/** Several reasons of equal weight, at least one. */
export class RefusedFor extends Error {
  override readonly name = 'RefusedFor';
  readonly findings: readonly Omit<Finding, 'ok'>[];

  constructor(findings: readonly [Omit<Finding, 'ok'>, ...Omit<Finding, 'ok'>[]]) {
    super(findings[0].message);
    this.findings = findings;
  }
}

/** Something an earlier check should have found is not there. */
export class Missing extends Error {
  override readonly name = 'Missing';
}

/** Runs one check. Errors of the runtime are bugs and pass: whoever calls answers nothing then, which is not a yes. */
export function runCheck({ id, claim, run }: CheckDefinition, material: Material): readonly AttestCheck[] {
  try {
    const holds = run(material);
    return [
      holds === undefined ? { id, ok: true, message: claim } : { id, ok: true, message: claim, ...holds },
    ];
  } catch (error) {
    if (error instanceof Refused || error instanceof RefusedFor)
      return error.findings.map((finding) => failed(id, finding));
    if (error instanceof Missing) return [failed(id, { message: `cannot be checked: ${error.message}` })];
    if (error instanceof FormatError) {
      const where = error.offset === undefined ? undefined : `byte ${error.offset}`;
      return [failed(id, { message: error.message, where })];
    }
    throw error;
  }
}

function failed(id: CheckId, { message, expected, found, where }: Omit<Finding, 'ok'>): AttestCheck {
  return {
    id,
    ok: false,
    message,
    ...(expected !== undefined && { expected }),
    ...(found !== undefined && { found }),
    ...(where !== undefined && { where }),
  };
}
