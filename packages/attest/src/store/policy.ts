/** Policies that came into force, and the verdicts that ended with that. */

import type { Context } from './context.ts';
import type { SqlValue } from './driver.ts';
import { text, textOrNull } from './rows.ts';
import type { PolicyLoad, Store } from './types.ts';

export function policyStore({ driver, write }: Context): Store['policy'] {
  return {
    async rules() {
      const rows = await driver.all(
        `SELECT given.rules AS digest, p.rules AS rules
          FROM (SELECT DISTINCT rules FROM nodes WHERE verdict = 'trusted') AS given
          LEFT JOIN policies p ON p.digest = given.rules`,
      );
      return rows.map((row) => ({ digest: textOrNull(row, 'digest'), rules: textOrNull(row, 'rules') }));
    },
    load: async (change) =>
      write(async (transaction) => {
        const { digest, rules, lifetime, at } = change;
        const which = endedBy(change);
        const ended = which === undefined ? [] : await transaction.all(which.sql, which.values);
        await transaction.all(
          `UPDATE nodes SET expires = at + ?1 WHERE verdict = 'trusted' AND expires > at + ?1`,
          [lifetime],
        );
        await transaction.all(
          'INSERT INTO policies (digest, rules) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING',
          [digest, rules],
        );
        await transaction.all(
          `DELETE FROM policies WHERE digest <> ?1 AND digest NOT IN
            (SELECT rules FROM nodes WHERE verdict = 'trusted' AND rules IS NOT NULL)`,
          [digest],
        );
        const data = { ...change.data, rules: digest, verdictsEnded: ended.length };
        await transaction.append({ at, kind: 'policy.loaded', actor: 'verifier', change: true, data });
        return ended.length;
      }),
    async mark(name) {
      const [row] = await driver.all('SELECT value FROM marks WHERE name = ?1', [name]);
      return row && text(row, 'value');
    },
    setMark: async (name, value) =>
      write(async (transaction) => {
        await transaction.all(
          'INSERT INTO marks (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2',
          [name, value],
        );
      }),
  };
}

function endedBy({
  endedRules,
  endedReleases,
}: PolicyLoad): { readonly sql: string; readonly values: readonly SqlValue[] } | undefined {
  const values: SqlValue[] = [];
  const among = (column: string, wanted: readonly string[]): readonly string[] => {
    if (wanted.length === 0) return [];
    const parameters = wanted.map((value) => `?${values.push(value)}`);
    return [`${column} IN (${parameters.join(', ')})`];
  };
  const conditions = [
    ...(endedRules.includes(null) ? ['rules IS NULL'] : []),
    ...among(
      'rules',
      endedRules.filter((one) => one !== null),
    ),
    ...among('release_id', endedReleases),
  ];
  if (conditions.length === 0) return undefined;
  const sql = `UPDATE nodes SET verdict = 'expired'
    WHERE verdict = 'trusted' AND (${conditions.join(' OR ')}) RETURNING id`;
  return { sql, values };
}
