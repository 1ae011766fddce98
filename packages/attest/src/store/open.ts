/** Which store: a SQLite file, or a PostgreSQL database by its URL. */

import { StoreError } from './error.ts';
import { openPostgresDriver } from './postgres-driver.ts';
import { openSqliteInWorker } from './remote.ts';
import { openSqlStore } from './sql-store.ts';
import type { Store } from './types.ts';

/** `where` is a path or `postgres://…`; what is not there yet is made. @throws StoreError */
export async function openStore(where: string): Promise<Store> {
  if (/^postgres(?:ql)?:\/\//.test(where)) return openSqlStore(openPostgresDriver(where));
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(where)) {
    throw new StoreError('incompatible', `${where.split(':')[0]}: is no kind of store`, {
      hint: 'give a file for SQLite, or postgres://USER@HOST/DATABASE',
    });
  }
  return openSqliteInWorker(where);
}
