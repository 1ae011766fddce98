/** The thread of a SQLite store: calls in, replies out, those of one turn together. */

import { parentPort, workerData } from 'node:worker_threads';
import { StoreError } from './error.ts';
import type { Call, PlainError, Reply, WorkerData } from './remote.ts';
import { openSqliteDriver } from './sqlite-driver.ts';
import { openSqlStore } from './sql-store.ts';
import type { Store } from './types.ts';

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- given by openSqliteInWorker
const { file } = workerData as WorkerData;
let store: Promise<Store> | undefined;
let replies: Reply[] = [];

parentPort?.on('message', (calls: readonly Call[]) => {
  for (const call of calls) void answer(call);
});

async function answer({ id, method, parameters }: Call): Promise<void> {
  let reply: Reply;
  try {
    // Opened by the first call, so that a failure has somebody to go to.
    store ??= (async () => openSqlStore(openSqliteDriver(file)))();
    reply = { id, ok: true, value: await invoke(await store, method, parameters) };
  } catch (error) {
    reply = { id, ok: false, error: plain(error) };
  }
  if (replies.length === 0) {
    setImmediate(() => {
      parentPort?.postMessage(replies);
      replies = [];
    });
  }
  replies.push(reply);
}

async function invoke(target: Store, method: string, parameters: readonly unknown[]): Promise<unknown> {
  let found: unknown = target;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- names come from the list in remote.ts
  for (const part of method.split('.')) found = (found as Record<string, unknown>)[part];
  if (typeof found !== 'function') throw new StoreError('failed', `the store has no ${method}`);
  return Reflect.apply(found, target, parameters);
}

function plain(error: unknown): PlainError {
  if (error instanceof StoreError) {
    const { code, message, hint, exitCode } = error;
    return { code, message, hint, exitCode };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'failed', message, hint: undefined, exitCode: 2 };
}
