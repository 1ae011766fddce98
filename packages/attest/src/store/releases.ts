/** Releases and their state. Changing a state changes one row, and with it what every node of the release counts as. */

import type { Context } from './context.ts';
import type { SqlRow } from './driver.ts';
import type { WriteTransaction } from './group-commit.ts';
import { bytes, integer, integerOrNull, oneOf, text } from './rows.ts';
import type { ReleaseSummary, Store, StoredReleaseState } from './types.ts';

const states: readonly StoredReleaseState[] = ['added', 'promoted', 'deprecated', 'revoked'];
const summary = 'id, name, version, state, valid_from, valid_until, added, changed';

export function releaseStore({ driver, write }: Context): Store['releases'] {
  return {
    add: async (release, actor) =>
      write(async (transaction) => {
        const [known] = await transaction.all('SELECT id FROM releases WHERE id = ?1', [release.id]);
        if (known !== undefined) return 'already';
        const { id, name, version, state, from, until, added, manifest, referenceValues } = release;
        await transaction.all(
          `INSERT INTO releases (id, name, version, state, valid_from, valid_until, added, changed, manifest,
            reference_values) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)`,
          [id, name, version, state, from, until, added, manifest, referenceValues],
        );
        await bump(transaction);
        const data = { name, version, state, from, until };
        await transaction.append({
          at: added,
          kind: 'release.added',
          subject: id,
          actor,
          change: true,
          data,
        });
        return 'added';
      }),
    change: async ({ id, state, from, until, at, actor }) =>
      write(async (transaction) => {
        const [known] = await transaction.all(`SELECT ${summary} FROM releases WHERE id = ?1`, [id]);
        if (known === undefined) return 'not-found';
        const before = summaryOf(known);
        if (before.state === state && before.from === from && before.until === until) return 'unchanged';
        await transaction.all(
          'UPDATE releases SET state = ?2, valid_from = ?3, valid_until = ?4, changed = ?5 WHERE id = ?1',
          [id, state, from, until, at],
        );
        await bump(transaction);
        const { name, version } = before;
        await transaction.append({
          at,
          kind: `release.${state}`,
          subject: id,
          actor,
          change: true,
          data: { name, version, from, until, before: before.state },
        });
        return 'changed';
      }),
    async list() {
      const rows = await driver.all(`SELECT ${summary} FROM releases ORDER BY added DESC, id`);
      return rows.map(summaryOf);
    },
    async find(id) {
      const [row] = await driver.all(
        `SELECT ${summary}, manifest, reference_values FROM releases WHERE id = ?1`,
        [id],
      );
      if (row === undefined) return undefined;
      return {
        ...summaryOf(row),
        manifest: bytes(row, 'manifest'),
        referenceValues: bytes(row, 'reference_values'),
      };
    },
    async revision() {
      const [row] = await driver.all('SELECT revision FROM chain WHERE id = 1');
      return row === undefined ? 0 : integer(row, 'revision');
    },
  };
}

async function bump(transaction: WriteTransaction): Promise<void> {
  await transaction.all('UPDATE chain SET revision = revision + 1 WHERE id = 1');
}

function summaryOf(row: SqlRow): ReleaseSummary {
  return {
    id: text(row, 'id'),
    name: text(row, 'name'),
    version: text(row, 'version'),
    state: oneOf(row, 'state', states),
    from: integerOrNull(row, 'valid_from'),
    until: integerOrNull(row, 'valid_until'),
    added: integer(row, 'added'),
    changed: integer(row, 'changed'),
  };
}
