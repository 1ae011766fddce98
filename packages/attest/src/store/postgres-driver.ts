/** PostgreSQL by pg, for several replicas of the verifier. A commit is durable as far as the server's settings are. */

import { Pool, TypeOverrides } from 'pg';
import type { PoolClient } from 'pg';
import type { Driver, Queries, SqlRow, SqlValue } from './driver.ts';
import { StoreError } from './error.ts';

/** Classes of SQLSTATE that time may mend: connection, resources, intervention of an operator, system, lost race. */
const passing = /^(?:08|40|53|55|57|58)/;
/** Any number that only migrations of osguard take as an advisory lock: the letters `osguard`. */
const migrationLock = '31369625573253732';
const int8 = 20;

export interface PostgresOptions {
  /** Connections; 4 unless told otherwise. */
  readonly connections?: number;
}

/** Connects when first used. @throws StoreError when `url` is none. */
export function openPostgresDriver(url: string, options: PostgresOptions = {}): Driver {
  // BIGINT columns come as numbers, everything else as pg does it.
  const types = new TypeOverrides();
  types.setTypeParser(int8, safeInteger);
  const pool = new Pool({
    connectionString: url,
    max: options.connections ?? 4,
    connectionTimeoutMillis: 5000,
    query_timeout: 15_000,
    statement_timeout: 15_000,
    application_name: 'osguard attest',
    types,
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', () => undefined);
  return {
    kind: 'postgres',
    lockRow: ' FOR UPDATE',
    types: { integer: 'BIGINT', bytes: 'BYTEA' },
    appendOnly: [
      `CREATE OR REPLACE FUNCTION decisions_append_only() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION ''decisions are append-only''; END'`,
      `CREATE OR REPLACE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions
        FOR EACH STATEMENT EXECUTE FUNCTION decisions_append_only()`,
    ],
    all: async (sql, parameters = []) => guarded(async () => run(pool, sql, parameters)),
    transaction: async (body) => inTransaction(pool, body),
    migrate: async (body) =>
      inTransaction(pool, async (queries) => {
        await queries.all(`SELECT pg_advisory_xact_lock(${migrationLock})`);
        await body(queries);
      }),
    close: async () => pool.end(),
  };
}

async function inTransaction<T>(pool: Pool, body: (queries: Queries) => Promise<T>): Promise<T> {
  const client = await guarded(async () => pool.connect());
  let broken: Error | undefined;
  try {
    await guarded(async () => client.query('BEGIN'));
    const result = await body({
      all: async (sql, parameters = []) => guarded(async () => run(client, sql, parameters)),
    });
    await guarded(async () => client.query('COMMIT'));
    return result;
  } catch (error) {
    try {
      await client.query('ROLLBACK');
    } catch (cause) {
      broken = cause instanceof Error ? cause : new Error(String(cause));
    }
    throw error;
  } finally {
    // A connection of unknown state is thrown away, not put back.
    client.release(broken);
  }
}

async function run(
  connection: Pool | PoolClient,
  sql: string,
  parameters: readonly SqlValue[],
): Promise<readonly SqlRow[]> {
  const text = numbered(sql);
  const values = parameters.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value));
  const { rows } = await connection.query<Record<string, SqlValue>>({ text, values, name: nameOf(text) });
  return rows;
}

const numberedTexts = new Map<string, string>();
const names = new Map<string, string>();

function numbered(sql: string): string {
  let text = numberedTexts.get(sql);
  if (text === undefined) {
    text = sql.replaceAll(/\?(\d+)/g, '$$$1');
    numberedTexts.set(sql, text);
  }
  return text;
}

/** Named statements are prepared once a connection. The texts are constants of this program, so there are few. */
function nameOf(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = `osguard_${names.size}`;
    names.set(text, name);
  }
  return name;
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new StoreError('incompatible', `PostgreSQL: the integer ${text} is not one osguard wrote`);
}

async function guarded<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw asStoreError(cause);
  }
}

function asStoreError(cause: unknown): StoreError {
  // Connecting to several addresses fails with one error for each.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  const message = first instanceof Error ? first.message : String(first);
  const code = first instanceof Error && 'code' in first && typeof first.code === 'string' ? first.code : '';
  const isState = /^[0-9A-Z]{5}$/.test(code);
  // Without SQLSTATE it is the connection: refused, reset, timed out, ended.
  if (!isState || passing.test(code)) {
    return new StoreError('unavailable', `PostgreSQL: ${message}`, { exitCode: 3, cause });
  }
  return new StoreError('failed', `PostgreSQL: ${message} (${code})`, { cause });
}
