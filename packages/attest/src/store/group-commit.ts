/**
 * Writes that arrive while a commit is under way share the next one: one fsync for all of them. Each caller goes on
 * only when the commit that holds its write is durable.
 */

import type { Driver, Queries } from './driver.ts';
import { StoreError } from './error.ts';

/** A write: may run again when the transaction it shared failed, so it touches nothing but the database. */
export type Write<T> = (transaction: WriteTransaction) => Promise<T>;

export interface WriteTransaction extends Queries {
  /** Adds to the chain of decisions. */
  readonly append: (decision: PendingDecision) => Promise<number>;
}

/** A decision before it has its place in the chain. */
export interface PendingDecision {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly kind: string;
  readonly subject?: string | undefined;
  readonly actor: string;
  /** True for what subscribers are told. */
  readonly change: boolean;
  /** Canonical JSON can hold it. */
  readonly data: Readonly<Record<string, unknown>>;
}

export interface ChainedTransaction {
  readonly transaction: WriteTransaction;
  /** To be called before the commit. */
  readonly finish: () => Promise<void>;
}

export interface GroupCommitOptions {
  /** Makes of a driver's transaction one that can append; called first in each transaction. */
  readonly prepare: (queries: Queries) => Promise<ChainedTransaction>;
  /** Writes in one transaction, at most. */
  readonly most: number;
  /** Writes waiting, at most; further ones are refused as `busy`. */
  readonly queue: number;
}

interface Waiting {
  readonly write: Write<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  readonly #driver: Driver;
  readonly #options: GroupCommitOptions;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(driver: Driver, options: GroupCommitOptions) {
    this.#driver = driver;
    this.#options = options;
  }

  async run<T>(write: Write<T>): Promise<T> {
    if (this.#closed) throw new StoreError('closed', 'the store was closed');
    if (this.#waiting.length >= this.#options.queue) {
      throw new StoreError('busy', `${this.#waiting.length} writes are waiting`);
    }
    return new Promise<T>((resolve, reject) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `write` returns is what `resolve` takes
      this.#waiting.push({ write, resolve: resolve as (value: unknown) => void, reject });
      this.#running ??= this.#drain();
    });
  }

  /** Writes what is waiting, then refuses more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #drain(): Promise<void> {
    // One turn of the event loop: requests that were read together are written together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#options.most);
      await this.#commit(batch);
    }
    this.#running = undefined;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    let results: readonly unknown[];
    try {
      results = await this.#driver.transaction(async (queries) => {
        const { transaction, finish } = await this.#options.prepare(queries);
        const values: unknown[] = [];
        for (const { write } of batch) values.push(await write(transaction));
        await finish();
        return values;
      });
    } catch (error) {
      const alone = batch.length === 1 || (error instanceof StoreError && error.code === 'unavailable');
      if (alone) for (const { reject } of batch) reject(error);
      // One write broke the transaction of all: the others are not to suffer.
      else for (const one of batch) await this.#commit([one]);
      return;
    }
    for (const [index, { resolve }] of batch.entries()) resolve(results[index]);
  }
}
