/** Columns to fields. What a column holds was written by this program, so a wrong type is a broken database. */

import type { SqlRow } from './driver.ts';
import { StoreError } from './error.ts';

export function text(row: SqlRow, column: string): string {
  const value = row[column];
  if (typeof value === 'string') return value;
  throw wrong(column, 'text', value);
}

export function textOrNull(row: SqlRow, column: string): string | null {
  return (row[column] ?? null) === null ? null : text(row, column);
}

export function integer(row: SqlRow, column: string): number {
  const value = row[column];
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw wrong(column, 'an integer', value);
}

export function integerOrNull(row: SqlRow, column: string): number | null {
  return (row[column] ?? null) === null ? null : integer(row, column);
}

export function bytes(row: SqlRow, column: string): Uint8Array {
  const value = row[column];
  if (value instanceof Uint8Array) return new Uint8Array(value);
  throw wrong(column, 'bytes', value);
}

/** One of a few words. */
export function oneOf<Word extends string>(row: SqlRow, column: string, words: readonly Word[]): Word {
  const value = text(row, column);
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  throw wrong(column, words.join(' or '), value);
}

/** A column of JSON that this program wrote. */
export function json<T>(row: SqlRow, column: string, fallback: T): T {
  const value = textOrNull(row, column);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written from a T by this room
  return value === null ? fallback : (JSON.parse(value) as T);
}

/** A column of certificates: JSON of base64. */
export function certificates(row: SqlRow, column: string): readonly Uint8Array[] {
  return json<readonly string[]>(row, column, []).map((der) => new Uint8Array(Buffer.from(der, 'base64')));
}

export function certificatesText(ders: readonly Uint8Array[]): string {
  return JSON.stringify(ders.map((der) => Buffer.from(der).toString('base64')));
}

function wrong(column: string, wanted: string, found: unknown): StoreError {
  return new StoreError('incompatible', `database: ${column} is to be ${wanted}, found ${typeof found}`);
}
