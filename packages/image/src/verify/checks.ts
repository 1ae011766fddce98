/** The ordered record of what a verification looked at. A missing input is a failed check, never a skipped one. */

import { OsguardError } from '@osguard/events';
import { FormatError } from '@osguard/formats/bytes';

export interface Check {
  /** Stable name, for example `uki-signature`. */
  readonly id: string;
  /** What is claimed, for people. */
  readonly title: string;
  readonly ok: boolean;
  /** What had to be found. */
  readonly expected?: string;
  readonly found: string;
  /** File, partition or section, with a byte offset where there is one. */
  readonly where?: string;
}

export interface CheckName {
  readonly id: string;
  readonly title: string;
  readonly where?: string;
  readonly expected?: string;
}

/** What a check's body says when the claim does not hold; anything else it throws counts as not holding too. */
export class CheckFailed extends Error {
  override readonly name = 'CheckFailed';
  readonly expected: string | undefined;
  readonly where: string | undefined;

  constructor(found: string, options: { readonly expected?: string; readonly where?: string } = {}) {
    super(found);
    this.expected = options.expected;
    this.where = options.where;
  }
}

/** What a check learned, for the checks after it. */
export interface Held<T> {
  readonly found: string;
  readonly value: T;
}

export class CheckList {
  readonly #checks: (Check | CheckList)[] = [];

  /** In the order in which they were begun; one that has not ended has not held. */
  get checks(): readonly Check[] {
    return this.#checks.flatMap((each) => (each instanceof CheckList ? each.checks : [each]));
  }

  get ok(): boolean {
    return this.checks.length > 0 && this.checks.every((check) => check.ok);
  }

  /** A place in the order for checks that are begun later, or before others that stand further up. */
  part(): CheckList {
    const part = new CheckList();
    this.#checks.push(part);
    return part;
  }

  /** Runs one check; its value when it holds, undefined when it does not. Errors of the runtime are bugs and pass. */
  async check<T>(name: CheckName, body: () => Held<T> | Promise<Held<T>>): Promise<T | undefined> {
    const place = this.#checks.push({ ...name, ok: false, found: 'was begun and has not ended' }) - 1;
    try {
      const { found, value } = await body();
      this.#checks[place] = { ...name, ok: true, found };
      return value;
    } catch (error) {
      this.#checks[place] = { ...name, ok: false, ...explain(error) };
      return undefined;
    }
  }

  /** Records that a check could not even be made because of an earlier one. */
  missing(name: CheckName, because: string): void {
    this.#checks.push({ ...name, ok: false, found: `cannot be checked: ${because}` });
  }
}

function explain(error: unknown): { found: string; expected?: string; where?: string } {
  if (error instanceof CheckFailed) {
    return {
      found: error.message,
      ...(error.expected !== undefined && { expected: error.expected }),
      ...(error.where !== undefined && { where: error.where }),
    };
  }
  if (error instanceof FormatError || error instanceof OsguardError) return { found: error.message };
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error) {
    return { found: error.message };
  }
  throw error;
}
