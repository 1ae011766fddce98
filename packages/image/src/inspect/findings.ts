/** Collects what could not be read, so that one damaged part does not hide the others. */

import { OsguardError } from '@osguard/events';
import { FormatError } from '@osguard/formats/bytes';
import type { Finding } from './report.ts';

/** A hostile image may have something wrong everywhere. */
const most = 1000;

export class Findings {
  readonly #list: Finding[] = [];

  get list(): readonly Finding[] {
    return this.#list;
  }

  /** What was read and is not as it should be. */
  add(where: string, message: string): void {
    this.#push({ kind: 'remark', where, message });
  }

  /** What `body` returns, or undefined and a finding when it meets bytes it cannot read. Bugs pass. */
  attempt<T>(where: string, body: () => T): T | undefined {
    try {
      return body();
    } catch (error) {
      this.#accept(where, error);
      return undefined;
    }
  }

  async attemptAsync<T>(where: string, body: () => Promise<T>): Promise<T | undefined> {
    try {
      return await body();
    } catch (error) {
      this.#accept(where, error);
      return undefined;
    }
  }

  #accept(where: string, error: unknown): void {
    const system = error instanceof Error && 'syscall' in error;
    if (!(error instanceof FormatError) && !(error instanceof OsguardError) && !system) throw error;
    this.#push({ kind: 'unreadable', where, message: error.message });
  }

  #push(finding: Finding): void {
    const known = this.#list.some(
      ({ where, message }) => where === finding.where && message === finding.message,
    );
    if (!known && this.#list.length < most) this.#list.push(finding);
  }
}
