import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { scratch } from '@osguard/testkit';
import { openSqliteDriver, openSqlStore, openStore, StoreError } from '../src/store/index.ts';
import type { Store } from '../src/store/index.ts';
import { storeContract } from './store-contract.ts';

const dir = scratch('store');
after(() => dir[Symbol.dispose]());

const incompatible = (error: unknown): boolean =>
  error instanceof StoreError && error.code === 'incompatible';

let count = 0;
const files = new WeakMap<Store, string>();

for (const [name, open] of [
  ['sqlite', async (file: string) => openSqlStore(openSqliteDriver(file))],
  ['sqlite in its thread', openStore],
] as const) {
  storeContract(name, {
    async fresh() {
      count += 1;
      const file = dir.file(`${count}.db`);
      const store = await open(file);
      files.set(store, file);
      return store;
    },
    again: async (store) => open(files.get(store) ?? ''),
  });
}

void test('the file is private, and the table of decisions append-only', async () => {
  const file = dir.file('private.db');
  const store = await openStore(file);
  await store.decisions.append({ at: 1, kind: 'test', actor: 'x', change: false, data: {} });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const database = new DatabaseSync(file);
  assert.throws(() => database.exec("UPDATE decisions SET body = ''"), /append-only/);
  assert.throws(() => database.exec('DELETE FROM decisions'), /append-only/);
  database.close();
  await store.close();
});

void test('a file of somebody else, and a database from the future, are refused', async () => {
  writeFileSync(dir.file('text'), 'this is no database '.repeat(100));
  await assert.rejects(openStore(dir.file('text')), incompatible);
  const file = dir.file('future.db');
  await (await openStore(file)).close();
  const database = new DatabaseSync(file);
  database.exec('INSERT INTO osguard_schema VALUES (99)');
  database.close();
  await assert.rejects(openStore(file), incompatible);
  await assert.rejects(openStore('mysql://x/y'), incompatible);
  await assert.rejects(openStore(dir.file('no/such/folder.db')), { code: 'unavailable' });
});
