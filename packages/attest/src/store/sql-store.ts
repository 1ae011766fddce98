/** The store over any driver. */

import { chained, readHead } from './chain.ts';
import type { Context } from './context.ts';
import type { Driver } from './driver.ts';
import { enrolmentStore } from './enrolments.ts';
import { evidenceStore, nonceStore } from './evidence.ts';
import { GroupCommit } from './group-commit.ts';
import { nodeStore } from './nodes.ts';
import { policyStore } from './policy.ts';
import { releaseStore } from './releases.ts';
import { integer, text } from './rows.ts';
import { migrate } from './schema.ts';
import { secretStore, tokenStore } from './secrets.ts';
import type { Store } from './types.ts';
import { webhookStore } from './webhooks.ts';

/** Nodes that one sweep tells of; the rest wait for the next. */
const mostExpired = 500;

/** Takes the driver over. @throws StoreError */
export async function openSqlStore(driver: Driver): Promise<Store> {
  try {
    await migrate(driver);
  } catch (error) {
    await driver.close();
    throw error;
  }
  const commits = new GroupCommit(driver, {
    prepare: async (queries) => chained(queries, driver),
    most: 256,
    queue: 20_000,
  });
  const context: Context = { driver, write: async (body) => commits.run(body) };
  return {
    kind: driver.kind,
    nonces: nonceStore(context),
    enrolments: enrolmentStore(context),
    nodes: nodeStore(context),
    evidence: evidenceStore(context),
    policy: policyStore(context),
    releases: releaseStore(context),
    secrets: secretStore(context),
    tokens: tokenStore(context),
    decisions: decisionStore(context),
    webhooks: webhookStore(context),
    sweep: async (now) => sweep(context, now),
    async ping() {
      await driver.all('SELECT seq FROM chain WHERE id = 1');
    },
    async close() {
      await commits.close();
      await driver.close();
    },
  };
}

function decisionStore({ driver, write }: Context): Store['decisions'] {
  return {
    append: async (decision) => write(async (transaction) => transaction.append(decision)),
    async list({ after, limit, changes = false }) {
      const rows = await driver.all(
        `SELECT seq, body, hash, change FROM decisions WHERE seq > ?1 ${changes ? 'AND change = 1' : ''}
          ORDER BY seq LIMIT ?2`,
        [after, Math.min(Math.max(limit, 1), 10_000)],
      );
      return rows.map((row) => ({
        seq: integer(row, 'seq'),
        body: text(row, 'body'),
        hash: text(row, 'hash'),
        change: integer(row, 'change') === 1,
      }));
    },
    head: async () => readHead(driver),
  };
}

async function sweep({ write }: Context, now: number): Promise<void> {
  await write(async (transaction) => {
    await transaction.all('DELETE FROM nonces WHERE expires <= ?1', [now]);
    await transaction.all('DELETE FROM enrolments WHERE expires <= ?1', [now]);
    await transaction.all('DELETE FROM applicants WHERE at <= ?1', [now - 86_400_000]);
    const expired = await transaction.all(
      `UPDATE nodes SET verdict = 'expired' WHERE id IN (SELECT id FROM nodes
        WHERE verdict = 'trusted' AND expires <= ?1 ORDER BY expires LIMIT ${mostExpired}) RETURNING id, name`,
      [now],
    );
    for (const row of expired) {
      await transaction.append({
        at: now,
        kind: 'node.expired',
        subject: text(row, 'id'),
        actor: 'verifier',
        change: true,
        data: { name: text(row, 'name') },
      });
    }
  });
}
