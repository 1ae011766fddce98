/**
 * What the store needs of a database. Both databases understand the same SQL; parameters are written `?1`, `?2` …
 * and integers are kept within ±(2^53 - 1).
 */

export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = Readonly<Record<string, SqlValue>>;

export interface Queries {
  readonly all: (sql: string, parameters?: readonly SqlValue[]) => Promise<readonly SqlRow[]>;
}

export interface Driver extends Queries {
  readonly kind: 'sqlite' | 'postgres';
  /** Appended to the statement that reads the head of the log, so that one writer at a time goes on. */
  readonly lockRow: string;
  /** Spelling of column types, for migrations. */
  readonly types: { readonly integer: string; readonly bytes: string };
  /** Statements that make the table of decisions append-only for this program's own connection as well. */
  readonly appendOnly: readonly string[];
  /**
   * Runs `body` in one transaction. When the promise resolves the commit is durable; when it rejects nothing of it
   * happened, or the connection broke during the commit and it is unknown.
   * @throws StoreError
   */
  transaction<T>(body: (queries: Queries) => Promise<T>): Promise<T>;
  /** Runs while no other migration of the same database does. */
  migrate(body: (queries: Queries) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}
