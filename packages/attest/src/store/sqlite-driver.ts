/**
 * SQLite by node:sqlite. Write-ahead log with `synchronous=FULL`: a commit returns after fsync. Reads use a connection
 * of their own, so that they never see what is not committed.
 */

import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import type { Driver, Queries, SqlRow, SqlValue } from './driver.ts';
import { StoreError } from './error.ts';

/** Primary result codes that time may mend (sqlite.org/rescode.html): BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN. */
const passing = new Set([5, 6, 7, 10, 13, 14]);

/** @throws StoreError when the file cannot be opened or is no database. */
export function openSqliteDriver(file: string): Driver {
  return guarded(file, () => {
    // Made before SQLite does, so that it is never readable for others, not even for a moment.
    closeSync(openSync(file, 'a', 0o600));
    chmodSync(file, 0o600);
    const writer = open(file, false);
    const reader = open(file, true);
    return driverOf(file, { writer, reader });
  });
}

function open(file: string, readOnly: boolean): Connection {
  const database = new DatabaseSync(file, { readOnly, timeout: 5000, enableForeignKeyConstraints: true });
  if (!readOnly) database.exec('PRAGMA journal_mode = WAL');
  // 64 MiB of pages at most (negative: KiB), whatever the size of the file.
  database.exec('PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY');
  return { database, statements: new Map() };
}

interface Connection {
  readonly database: DatabaseSync;
  readonly statements: Map<string, StatementSync>;
}

interface Connections {
  readonly writer: Connection;
  readonly reader: Connection;
}

function driverOf(file: string, { writer, reader }: Connections): Driver {
  const inside: Queries = {
    all: async (sql, parameters = []) => guarded(file, () => run(writer, sql, parameters)),
  };
  async function transaction<T>(body: (queries: Queries) => Promise<T>): Promise<T> {
    guarded(file, () => writer.database.exec('BEGIN IMMEDIATE'));
    try {
      const result = await body(inside);
      guarded(file, () => writer.database.exec('COMMIT'));
      return result;
    } catch (error) {
      // Some failures, a full disk among them, have ended the transaction already.
      if (writer.database.isTransaction) guarded(file, () => writer.database.exec('ROLLBACK'));
      throw error;
    }
  }
  return {
    kind: 'sqlite',
    lockRow: '',
    types: { integer: 'INTEGER', bytes: 'BLOB' },
    appendOnly: ['UPDATE', 'DELETE'].map(
      (verb) => `CREATE TRIGGER IF NOT EXISTS decisions_no_${verb.toLowerCase()} BEFORE ${verb} ON decisions
        BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END`,
    ),
    all: async (sql, parameters = []) => guarded(file, () => run(reader, sql, parameters)),
    transaction,
    migrate: transaction,
    async close() {
      for (const { database } of [reader, writer]) if (database.isOpen) database.close();
    },
  };
}

function run(
  { database, statements }: Connection,
  sql: string,
  parameters: readonly SqlValue[],
): readonly SqlRow[] {
  let statement = statements.get(sql);
  if (statement === undefined) {
    statement = database.prepare(sql);
    statements.set(sql, statement);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- columns are TEXT, INTEGER (within 2^53) and BLOB only
  return statement.all(...parameters) as unknown as readonly SqlRow[];
}

function guarded<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw asStoreError(file, cause);
  }
}

function asStoreError(file: string, cause: unknown): StoreError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code =
    cause instanceof Error && 'errcode' in cause && typeof cause.errcode === 'number'
      ? cause.errcode & 0xff
      : 0;
  const fromSystem = cause instanceof Error && 'syscall' in cause;
  if (passing.has(code) || fromSystem) {
    const hint = code === 13 ? 'make room on the file system, then it goes on by itself' : undefined;
    return new StoreError('unavailable', `${file}: ${message}`, {
      exitCode: 3,
      cause,
      ...(hint !== undefined && { hint }),
    });
  }
  // 26: not a database.
  if (code === 26) return new StoreError('incompatible', `${file}: ${message}`, { cause });
  return new StoreError('failed', `${file}: ${message}`, { cause });
}
