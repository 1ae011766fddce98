/** Webhooks: each has a cursor in the chain of decisions, so that nothing is lost over restarts. */

import type { Context } from './context.ts';
import type { SqlRow } from './driver.ts';
import { bytes, integer, text, textOrNull } from './rows.ts';
import type { Store, WebhookSummary } from './types.ts';

const summary = 'id, url, cursor, attempts, next_at, last_error, created';

export function webhookStore({ driver, write }: Context): Store['webhooks'] {
  return {
    add: async ({ id, url, sealed, cursor, created }, actor) =>
      write(async (transaction) => {
        await transaction.all(
          `INSERT INTO webhooks (id, url, sealed, cursor, attempts, next_at, lease_until, created)
            VALUES (?1, ?2, ?3, ?4, 0, 0, 0, ?5)`,
          [id, url, sealed, cursor, created],
        );
        await transaction.append({
          at: created,
          kind: 'webhook.added',
          subject: id,
          actor,
          change: false,
          data: { url },
        });
      }),
    async list() {
      const rows = await driver.all(`SELECT ${summary} FROM webhooks ORDER BY created, id`);
      return rows.map(summaryOf);
    },
    remove: async (id, { at, actor }) =>
      write(async (transaction) => {
        const [row] = await transaction.all('DELETE FROM webhooks WHERE id = ?1 RETURNING url', [id]);
        if (row === undefined) return false;
        const data = { url: text(row, 'url') };
        await transaction.append({ at, kind: 'webhook.removed', subject: id, actor, change: false, data });
        return true;
      }),
    async claim({ now, until, lease }) {
      const due = `next_at <= ?1 AND lease_until <= ?1
        AND cursor < (SELECT COALESCE(max(seq), 0) FROM decisions WHERE change = 1)`;
      // Reading first: most of the time nothing is due, and then nothing is written.
      const [waiting] = await driver.all(
        `SELECT id FROM webhooks WHERE ${due} ORDER BY next_at, id LIMIT 1`,
        [now],
      );
      if (waiting === undefined) return undefined;
      return write(async (transaction) => {
        const [row] = await transaction.all(
          `UPDATE webhooks SET lease = ?2, lease_until = ?3 WHERE id = ?4 AND next_at <= ?1 AND lease_until <= ?1
            RETURNING ${summary}, sealed`,
          [now, lease, until, text(waiting, 'id')],
        );
        return row && { ...summaryOf(row), sealed: bytes(row, 'sealed') };
      });
    },
    progress: async ({ id, lease, cursor, attempts, nextAt, lastError }) =>
      write(async (transaction) => {
        await transaction.all(
          `UPDATE webhooks SET cursor = ?3, attempts = ?4, next_at = ?5, last_error = ?6, lease = NULL, lease_until = 0
            WHERE id = ?1 AND lease = ?2`,
          [id, lease, cursor, attempts, nextAt, lastError],
        );
      }),
  };
}

function summaryOf(row: SqlRow): WebhookSummary {
  return {
    id: text(row, 'id'),
    url: text(row, 'url'),
    cursor: integer(row, 'cursor'),
    attempts: integer(row, 'attempts'),
    nextAt: integer(row, 'next_at'),
    lastError: textOrNull(row, 'last_error'),
    created: integer(row, 'created'),
  };
}
