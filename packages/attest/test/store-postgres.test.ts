import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openStore, StoreError } from '../src/store/index.ts';
import type { Store } from '../src/store/index.ts';
import { noPostgres, startPostgres } from './postgres.ts';
import type { Postgres } from './postgres.ts';
import { storeContract } from './store-contract.ts';

const gone = (error: unknown): boolean => error instanceof StoreError && error.code === 'unavailable';

let postgres: Postgres | undefined;
const urls = new WeakMap<Store, string>();

before(async () => {
  if (noPostgres === false) postgres = await startPostgres();
});
after(async () => postgres?.[Symbol.asyncDispose]());

storeContract('postgres', {
  skip: noPostgres,
  async fresh() {
    const url = (await postgres?.database()) ?? '';
    const store = await openStore(url);
    urls.set(store, url);
    return store;
  },
  again: async (store) => openStore(urls.get(store) ?? ''),
});

void test('replicas that start at once make the tables once', { skip: noPostgres }, async () => {
  const url = (await postgres?.database()) ?? '';
  const stores = await Promise.all([1, 2, 3, 4].map(async () => openStore(url)));
  await Promise.all(stores.map(async (store) => store.ping()));
  await Promise.all(stores.map(async (store) => store.close()));
});

void test(
  'a database that is gone is a clear error, and one that is back works',
  { skip: noPostgres },
  async () => {
    const store = await openStore((await postgres?.database()) ?? '');
    const append = async (): Promise<number> =>
      store.decisions.append({ at: 1, kind: 'test', actor: 'x', change: false, data: {} });
    assert.equal(await append(), 1);
    await postgres?.stop();
    await assert.rejects(append(), gone);
    await assert.rejects(store.ping(), gone);
    await postgres?.start();
    assert.equal(await append(), 2);
    await store.close();
  },
);
