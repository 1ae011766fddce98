/** Nonces, and the one step in which evidence uses its nonce up and becomes a verdict. */

import { wentBack } from '../verify/tpm-clock.ts';
import type { TpmClock } from '../verify/tpm-clock.ts';
import type { Context } from './context.ts';
import type { SqlRow } from './driver.ts';
import { findNode, nodeOf } from './nodes.ts';
import { integer, json, text, textOrNull } from './rows.ts';
import type { Store, StoredClock, StoredLastSeen, StoredNonce } from './types.ts';

export function nonceStore({ write }: Context): Store['nonces'] {
  return {
    add: async ({ nonce, node, purpose, issued, expires }, { address, perAddress, total }) =>
      write(async (transaction) => {
        const [row] = await transaction.all(
          `SELECT (SELECT count(*) FROM nodes WHERE id = ?1) AS known, count(*) AS outstanding,
            count(CASE WHEN address = ?3 THEN 1 END) AS same FROM nonces WHERE node = ?1 AND expires > ?2`,
          [node, issued, address],
        );
        if (row === undefined || integer(row, 'known') === 0) return 'unknown-node';
        if (integer(row, 'same') >= perAddress || integer(row, 'outstanding') >= total) return 'full';
        await transaction.all(
          'INSERT INTO nonces (nonce, node, purpose, issued, expires, address) VALUES (?1, ?2, ?3, ?4, ?5, ?6)',
          [nonce, node, purpose, issued, expires, address],
        );
        return 'added';
      }),
  };
}

export function evidenceStore({ driver, write }: Context): Store['evidence'] {
  return {
    async context(node, nonce) {
      const [nodes, nonces] = await Promise.all([
        driver.all(`${findNode} WHERE id = ?1`, [node]),
        driver.all('SELECT nonce, node, purpose, issued, expires FROM nonces WHERE nonce = ?1', [nonce]),
      ]);
      return {
        ...(nodes[0] !== undefined && { node: nodeOf(nodes[0]) }),
        ...(nonces[0] !== undefined && { nonce: nonceOf(nonces[0]) }),
      };
    },
    record: async (record) =>
      write(async (transaction) => {
        // Deleting is what makes it single use: of two transactions only one gets the row back.
        const taken = await transaction.all(
          'DELETE FROM nonces WHERE nonce = ?1 AND node = ?2 RETURNING nonce',
          [record.nonce, record.node],
        );
        if (taken.length === 0) return 'nonce-gone';
        const [before] = await transaction.all(
          `SELECT n.verdict, n.release_id, n.state, n.last_seen, r.state AS release_state
            FROM nodes n LEFT JOIN releases r ON r.id = ?3 WHERE n.id = ?1 AND n.ak_name = ?2`,
          [record.node, record.akName, record.release],
        );
        if (before === undefined) return 'node-changed';
        if (record.verdict === 'trusted' && !stillCounts(before)) return 'overtaken';
        const last = json<StoredLastSeen | null>(before, 'last_seen', null);
        const older = last !== null && wentBack(clockOf(last), clockOf(record.clock)) !== undefined;
        // Unless that is what was decided.
        if (older && !record.checks.some(({ id }) => id === 'quote-clock')) return 'overtaken';
        // A refusal does not wipe out what the machine ran last: rollback protection looks at it.
        const seen = older ? last : { ...record.clock, version: record.version ?? last?.version };
        await transaction.all(
          `UPDATE nodes SET verdict = ?2, at = ?3, expires = ?4, release_id = ?5, reason = ?6, checks = ?7,
            last_seen = ?8, tls_key = ?9, agent = ?10, rules = ?11 WHERE id = ?1`,
          [
            record.node,
            record.verdict,
            record.at,
            record.expires,
            record.release,
            record.reason,
            JSON.stringify(record.checks),
            JSON.stringify(seen),
            record.tlsKey,
            record.agent,
            record.rules,
          ],
        );
        const change =
          textOrNull(before, 'verdict') !== record.verdict ||
          textOrNull(before, 'release_id') !== record.release;
        await transaction.append({
          at: record.at,
          kind: `evidence.${record.verdict}`,
          subject: record.node,
          actor: 'node',
          change,
          data: record.data,
        });
        return 'recorded';
      }),
    reject: async (nonce, decision) =>
      write(async (transaction) => {
        const taken = await transaction.all('DELETE FROM nonces WHERE nonce = ?1 RETURNING nonce', [nonce]);
        if (decision !== undefined) await transaction.append(decision);
        return taken.length === 0 ? 'nonce-gone' : 'recorded';
      }),
  };
}

/** What the judge was told of node and release may have changed while it judged, also by another replica. */
function stillCounts(row: SqlRow): boolean {
  const release = textOrNull(row, 'release_state');
  return text(row, 'state') === 'enrolled' && (release === 'promoted' || release === 'deprecated');
}

function clockOf({ clock, ...counts }: StoredClock): TpmClock {
  return { ...counts, clock: BigInt(clock) };
}

function nonceOf(row: SqlRow): StoredNonce {
  return {
    nonce: text(row, 'nonce'),
    node: text(row, 'node'),
    purpose: text(row, 'purpose'),
    issued: integer(row, 'issued'),
    expires: integer(row, 'expires'),
  };
}
