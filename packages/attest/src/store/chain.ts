/**
 * The chain of decisions: each names the hash of the one before, so that none can be changed, removed or put in between
 * without the rest giving it away. What is hashed is the decision in canonical JSON (RFC 8785).
 */

import { hash as digest } from 'node:crypto';
import { canonicalJson } from '@osguard/formats/json';
import type { Driver, Queries } from './driver.ts';
import type { ChainedTransaction, PendingDecision } from './group-commit.ts';

export interface ChainLink {
  readonly seq: number;
  readonly previous: string;
}

/** Version of the text that is hashed. */
const decisionVersion = 1;

export function decisionBody(decision: PendingDecision, { seq, previous }: ChainLink): string {
  const { at, kind, subject = null, actor, change, data } = decision;
  return canonicalJson({ v: decisionVersion, seq, previous, at, kind, subject, actor, change, data });
}

export function decisionHash(body: string): string {
  return digest('sha256', body, 'hex');
}

/**
 * A transaction whose decisions go to the end of the chain. The head is read, and locked, before anything else: writers
 * that take locks in one order cannot block each other for good.
 */
export async function chained(queries: Queries, driver: Driver): Promise<ChainedTransaction> {
  let head = await readHead(queries, driver.lockRow);
  let moved = false;
  return {
    transaction: {
      all: async (sql, parameters) => queries.all(sql, parameters),
      async append(decision) {
        const seq = head.seq + 1;
        const body = decisionBody(decision, { seq, previous: head.hash });
        const hash = decisionHash(body);
        const change = decision.change ? 1 : 0;
        const values = [seq, body, hash, change];
        await queries.all('INSERT INTO decisions (seq, body, hash, change) VALUES (?1, ?2, ?3, ?4)', values);
        head = { seq, hash };
        moved = true;
        return seq;
      },
    },
    async finish() {
      if (moved)
        await queries.all('UPDATE chain SET seq = ?1, hash = ?2 WHERE id = 1', [head.seq, head.hash]);
    },
  };
}

export async function readHead(queries: Queries, lock = ''): Promise<{ seq: number; hash: string }> {
  const [row] = await queries.all(`SELECT seq, hash FROM chain WHERE id = 1${lock}`);
  return { seq: Number(row?.['seq'] ?? 0), hash: String(row?.['hash'] ?? '') };
}
