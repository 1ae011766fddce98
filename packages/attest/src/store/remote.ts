/**
 * A store in a worker thread: fsync and long listings do not hold up the thread that answers requests. Calls made in one
 * turn of the event loop travel together.
 */

import { Worker } from 'node:worker_threads';
import { StoreError } from './error.ts';
import type { StoreErrorCode } from './error.ts';
import type { Store } from './types.ts';

export interface Call {
  readonly id: number;
  /** `nodes.list`, or `ping`. */
  readonly method: string;
  readonly parameters: readonly unknown[];
}

export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: PlainError };

export interface PlainError {
  readonly code: StoreErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly exitCode: 1 | 2 | 3;
}

export interface WorkerData {
  readonly file: string;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
}

/** The SQLite store, in a thread of its own. @throws StoreError when it cannot be opened. */
export async function openSqliteInWorker(file: string): Promise<Store> {
  const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), {
    workerData: { file } satisfies WorkerData,
    // MiB: rows live shortly.
    resourceLimits: { maxYoungGenerationSizeMb: 12 },
  });
  const remote = new Remote(worker);
  try {
    await remote.call('ping', []);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  return remoteStore(remote);
}

class Remote {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #outgoing: Call[] = [];
  #next = 0;
  #ended: StoreError | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (replies: readonly Reply[]) => {
      for (const reply of replies) this.#settle(reply);
    });
    worker.on('error', (cause) => {
      const message = cause instanceof Error ? cause.message : String(cause);
      this.#end(new StoreError('unavailable', `the store's thread ended: ${message}`, { cause }));
    });
    worker.on('exit', () => this.#end(new StoreError('closed', 'the store was closed')));
  }

  async call(method: string, parameters: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const id = this.#next;
      this.#next += 1;
      this.#waiting.set(id, { resolve, reject });
      if (this.#outgoing.length === 0) setImmediate(() => this.#send());
      this.#outgoing.push({ id, method, parameters });
    });
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    await this.call('close', []);
    await this.#worker.terminate();
  }

  #send(): void {
    const calls = this.#outgoing;
    this.#outgoing = [];
    this.#worker.postMessage(calls);
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.value);
    else waiting?.reject(asStoreError(reply.error));
  }

  #end(error: StoreError): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function asStoreError({ code, message, hint, exitCode }: PlainError): StoreError {
  return new StoreError(code, message, { exitCode, ...(hint !== undefined && { hint }) });
}

const groups = {
  nonces: ['add'],
  enrolments: ['add', 'take', 'apply', 'applicants', 'approve', 'isApproved'],
  nodes: [
    'enrol',
    'find',
    'detail',
    'list',
    'counts',
    'allowReenrolment',
    'setState',
    'setLabels',
    'endorsements',
    'endorsement',
    'setEndorsed',
    'remove',
  ],
  evidence: ['context', 'record', 'reject'],
  policy: ['rules', 'load', 'mark', 'setMark'],
  releases: ['add', 'change', 'list', 'find', 'revision'],
  secrets: ['set', 'remove', 'list', 'release'],
  tokens: ['add', 'find', 'list', 'remove'],
  decisions: ['append', 'list', 'head'],
  webhooks: ['add', 'list', 'remove', 'claim', 'progress'],
} as const satisfies { readonly [Group in StoreGroup]: readonly (keyof Store[Group])[] };

type StoreGroup = Exclude<keyof Store, 'kind' | 'sweep' | 'ping' | 'close'>;

function remoteStore(remote: Remote): Store {
  const made = Object.fromEntries(
    Object.entries(groups).map(([group, methods]) => [
      group,
      Object.fromEntries(
        methods.map((method) => [
          method,
          async (...parameters: readonly unknown[]) => remote.call(`${group}.${method}`, parameters),
        ]),
      ),
    ]),
  );
  const rest = {
    kind: 'sqlite',
    sweep: async (now: number) => remote.call('sweep', [now]),
    ping: async () => remote.call('ping', []),
    close: async () => remote.close(),
  };
  // The methods are those of the list above, which the compiler compares with the interface; the contract suite runs on both.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { ...made, ...rest } as unknown as Store;
}
