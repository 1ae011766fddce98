/**
 * The tables, one migration after the other. Old migrations never change. `{int}` and `{bytes}` are the column types of
 * the database at hand.
 */

import type { Driver } from './driver.ts';
import { StoreError } from './error.ts';

const first = `
CREATE TABLE nonces (
  nonce TEXT PRIMARY KEY, node TEXT NOT NULL, purpose TEXT NOT NULL, issued {int} NOT NULL, expires {int} NOT NULL,
  address TEXT NOT NULL);
CREATE INDEX nonces_by_node ON nonces (node);
CREATE INDEX nonces_by_expiry ON nonces (expires);
CREATE TABLE enrolments (
  id TEXT PRIMARY KEY, node TEXT NOT NULL, name TEXT NOT NULL, ek {bytes} NOT NULL, ak {bytes} NOT NULL,
  ak_name TEXT NOT NULL, secret_hash TEXT NOT NULL, address TEXT NOT NULL, endorsement TEXT NOT NULL,
  expires {int} NOT NULL);
CREATE INDEX enrolments_by_address ON enrolments (address);
CREATE TABLE applicants (
  node TEXT PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL, first_at {int} NOT NULL, at {int} NOT NULL,
  attempts {int} NOT NULL, checks TEXT NOT NULL);
CREATE TABLE approvals (node TEXT PRIMARY KEY, actor TEXT NOT NULL, at {int} NOT NULL);
CREATE TABLE nodes (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, ek {bytes} NOT NULL, ak {bytes} NOT NULL, ak_name TEXT NOT NULL,
  state TEXT NOT NULL, reenrol_until {int}, enrolled {int} NOT NULL, endorsement TEXT NOT NULL,
  verdict TEXT, at {int}, expires {int}, release_id TEXT, reason TEXT, checks TEXT, last_seen TEXT, tls_key TEXT,
  agent TEXT);
CREATE INDEX nodes_by_name ON nodes (name);
CREATE INDEX nodes_by_trust ON nodes (id, verdict, state, at, expires, release_id);
CREATE INDEX nodes_by_tls_key ON nodes (tls_key);
CREATE INDEX nodes_by_expiry ON nodes (expires) WHERE verdict = 'trusted';
CREATE TABLE releases (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, state TEXT NOT NULL, valid_from {int},
  valid_until {int}, added {int} NOT NULL, changed {int} NOT NULL, manifest {bytes} NOT NULL,
  reference_values {bytes} NOT NULL);
CREATE TABLE secrets (
  name TEXT PRIMARY KEY, size {int} NOT NULL, set_at {int} NOT NULL, set_by TEXT NOT NULL, sealed {bytes} NOT NULL);
CREATE TABLE tokens (
  id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL, created {int} NOT NULL,
  expires {int});
CREATE TABLE decisions (
  seq {int} PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL, change {int} NOT NULL);
CREATE INDEX decisions_changes ON decisions (seq) WHERE change = 1;
CREATE TABLE chain (id {int} PRIMARY KEY, seq {int} NOT NULL, hash TEXT NOT NULL, revision {int} NOT NULL);
INSERT INTO chain (id, seq, hash, revision) VALUES (1, 0, '{genesis}', 0);
CREATE TABLE webhooks (
  id TEXT PRIMARY KEY, url TEXT NOT NULL, sealed {bytes} NOT NULL, cursor {int} NOT NULL, attempts {int} NOT NULL,
  next_at {int} NOT NULL, lease TEXT, lease_until {int} NOT NULL, last_error TEXT, created {int} NOT NULL);
`;

/** What the first decision names as the one before: SHA-256 of nothing would look like a hash of something. */
export const genesis: string = '0'.repeat(64);

/** Secrets of before were everybody's. */
const second = `
ALTER TABLE nodes ADD COLUMN rules TEXT;
ALTER TABLE nodes ADD COLUMN labels TEXT;
ALTER TABLE nodes ADD COLUMN ek_certificates TEXT;
ALTER TABLE enrolments ADD COLUMN ek_certificates TEXT;
ALTER TABLE secrets ADD COLUMN scope TEXT;
UPDATE secrets SET scope = '"everyone"';
CREATE TABLE policies (digest TEXT PRIMARY KEY, rules TEXT NOT NULL);
CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL);
`;

const migrations: readonly string[] = [first, second];

/** Brings the database to the version of this program. @throws StoreError `incompatible` when it is from a later one. */
export async function migrate(driver: Driver): Promise<void> {
  await driver.migrate(async ({ all }) => {
    await all('CREATE TABLE IF NOT EXISTS osguard_schema (version ' + driver.types.integer + ' NOT NULL)');
    const [row] = await all('SELECT max(version) AS version FROM osguard_schema');
    const version = typeof row?.['version'] === 'number' ? row['version'] : 0;
    if (version > migrations.length) {
      throw new StoreError(
        'incompatible',
        `the database has version ${version}, this program knows ${migrations.length}`,
        { hint: 'use the version of osguard that wrote it, or a later one' },
      );
    }
    for (const [index, text] of migrations.entries()) {
      if (index < version) continue;
      for (const statement of statementsOf(text, driver)) await all(statement);
      await all('INSERT INTO osguard_schema (version) VALUES (?1)', [index + 1]);
    }
    for (const statement of driver.appendOnly) await all(statement);
  });
}

function statementsOf(text: string, { types }: Driver): readonly string[] {
  return text
    .replaceAll('{int}', types.integer)
    .replaceAll('{bytes}', types.bytes)
    .replaceAll('{genesis}', genesis)
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
