/** Nodes and what the last evidence said about them. */

import type { Context } from './context.ts';
import type { SqlRow, SqlValue } from './driver.ts';
import {
  bytes,
  certificates,
  certificatesText,
  integer,
  integerOrNull,
  json,
  oneOf,
  text,
  textOrNull,
} from './rows.ts';
import { nodesAndReleases, trustCase } from './trust.ts';
import type {
  NodeDetail,
  NodeSummary,
  Store,
  StoredCheck,
  StoredEndorsement,
  StoredLastSeen,
  StoredNode,
  TrustState,
} from './types.ts';

const trustStates: readonly TrustState[] = ['trusted', 'new', 'refused', 'expired', 'release', 'suspended'];

const summaryColumns = `n.id, n.name, n.enrolled, n.at, n.expires, n.reason, n.agent, n.release_id,
  r.name AS release_name, r.version AS release_version`;

export function nodeStore({ driver, write }: Context): Store['nodes'] {
  return {
    enrol: async (node) =>
      write(async (transaction) => {
        const [known] = await transaction.all('SELECT ak_name, reenrol_until FROM nodes WHERE id = ?1', [
          node.id,
        ]);
        const same = known !== undefined && text(known, 'ak_name') === node.akName;
        const allowed = known !== undefined && (integerOrNull(known, 'reenrol_until') ?? 0) > node.now;
        if (known !== undefined && !same && !allowed) return 'reenrolment-needed';
        const chain = node.ekCertificates === undefined ? null : certificatesText(node.ekCertificates);
        const values = [node.id, node.name, node.ek, node.ak, node.akName, node.now, node.endorsement, chain];
        if (known === undefined) {
          await transaction.all(
            `INSERT INTO nodes (id, name, ek, ak, ak_name, state, enrolled, endorsement, ek_certificates)
              VALUES (?1, ?2, ?3, ?4, ?5, 'enrolled', ?6, ?7, ?8)`,
            values,
          );
        } else if (!same) {
          // Another key: what was known of the machine under the old one is void.
          await transaction.all(
            `UPDATE nodes SET name = ?2, ek = ?3, ak = ?4, ak_name = ?5, enrolled = ?6, endorsement = ?7,
              ek_certificates = ?8, reenrol_until = NULL, verdict = NULL, at = NULL, expires = NULL, release_id = NULL, reason = NULL,
              checks = NULL, last_seen = NULL, tls_key = NULL, rules = NULL WHERE id = ?1`,
            values,
          );
        } else {
          await transaction.all(
            'UPDATE nodes SET name = ?2, endorsement = ?3, ek_certificates = ?4 WHERE id = ?1',
            [node.id, node.name, node.endorsement, chain],
          );
        }
        // It would not have come here if nobody vouched for it.
        await transaction.all(`UPDATE nodes SET state = 'enrolled' WHERE id = ?1 AND state = 'unendorsed'`, [
          node.id,
        ]);
        await transaction.all('DELETE FROM applicants WHERE node = ?1', [node.id]);
        await transaction.append({
          at: node.now,
          kind: known === undefined ? 'node.enrolled' : 'node.enrolled-again',
          subject: node.id,
          actor: 'node',
          change: known === undefined || !same,
          data: { name: node.name, akName: node.akName, endorsement: node.endorsement },
        });
        return 'enrolled';
      }),
    async find(id) {
      const [row] = await driver.all(`${findNode} WHERE id = ?1`, [id]);
      return row && nodeOf(row);
    },
    async detail(id, now) {
      const [row] = await driver.all(
        `SELECT ${summaryColumns}, n.ak_name, n.state, n.labels, n.tls_key, n.endorsement, n.reenrol_until, n.checks, n.last_seen,
          ${trustCase('?1')} AS trust FROM ${nodesAndReleases} WHERE n.id = ?2`,
        [now, id],
      );
      return row && detailOf(row);
    },
    async list({ now, after = '', limit, trust, release, name }) {
      const values: SqlValue[] = [now, after, Math.min(Math.max(Math.floor(limit), 1), 1000)];
      const conditions: string[] = ['n.id > ?2'];
      const filter = (condition: (parameter: string) => string, value: string | undefined): void => {
        if (value === undefined) return;
        values.push(value);
        conditions.push(condition(`?${values.length}`));
      };
      filter((parameter) => `${trustCase('?1')} = ${parameter}`, trust);
      filter((parameter) => `n.release_id = ${parameter}`, release);
      filter((parameter) => `n.name = ${parameter}`, name);
      // The inner query is answered by an index alone, however few nodes the filters leave.
      const rows = await driver.all(
        `SELECT ${summaryColumns}, ${trustCase('?1')} AS trust FROM ${nodesAndReleases}
          WHERE n.id IN (SELECT n.id FROM ${nodesAndReleases} WHERE ${conditions.join(' AND ')}
            ORDER BY n.id LIMIT ?3) ORDER BY n.id`,
        values,
      );
      return rows.map(summaryOf);
    },
    async counts(now) {
      const rows = await driver.all(
        `SELECT trust, release_id, count(*) AS nodes FROM (SELECT ${trustCase('?1')} AS trust, n.release_id
          FROM ${nodesAndReleases}) AS each_node GROUP BY trust, release_id`,
        [now],
      );
      return rows.map((row) => ({
        trust: oneOf(row, 'trust', trustStates),
        release: textOrNull(row, 'release_id'),
        count: integer(row, 'nodes'),
      }));
    },
    allowReenrolment: async (id, { at, actor, until }) =>
      write(async (transaction) => {
        const rows = await transaction.all('UPDATE nodes SET reenrol_until = ?2 WHERE id = ?1 RETURNING id', [
          id,
          until,
        ]);
        if (rows.length === 0) return false;
        const data = { until };
        await transaction.append({
          at,
          kind: 'node.reenrolment-allowed',
          subject: id,
          actor,
          change: true,
          data,
        });
        return true;
      }),
    setState: async (id, { at, actor, state }) =>
      write(async (transaction) => {
        const rows = await transaction.all('UPDATE nodes SET state = ?2 WHERE id = ?1 RETURNING id', [
          id,
          state,
        ]);
        if (rows.length === 0) return false;
        const kind = state === 'suspended' ? 'node.suspended' : 'node.resumed';
        await transaction.append({ at, kind, subject: id, actor, change: true, data: {} });
        return true;
      }),
    setLabels: async (id, { at, actor, labels }) =>
      write(async (transaction) => {
        const rows = await transaction.all('UPDATE nodes SET labels = ?2 WHERE id = ?1 RETURNING id', [
          id,
          JSON.stringify(labels),
        ]);
        if (rows.length === 0) return false;
        const data = { labels };
        await transaction.append({ at, kind: 'node.labelled', subject: id, actor, change: true, data });
        return true;
      }),
    async endorsements({ after, limit }) {
      const rows = await driver.all(`${findEndorsement} WHERE n.id > ?1 ORDER BY n.id LIMIT ?2`, [
        after,
        limit,
      ]);
      return rows.map(endorsementOf);
    },
    async endorsement(id) {
      const [row] = await driver.all(`${findEndorsement} WHERE n.id = ?1`, [id]);
      return row && endorsementOf(row);
    },
    setEndorsed: async (id, { at, actor, problem }) =>
      write(async (transaction) => {
        const [before, after] = problem === null ? ['unendorsed', 'enrolled'] : ['enrolled', 'unendorsed'];
        const rows = await transaction.all(
          'UPDATE nodes SET state = ?2 WHERE id = ?1 AND state = ?3 RETURNING id',
          [id, after, before],
        );
        if (rows.length === 0) return false;
        const kind = problem === null ? 'node.endorsed-again' : 'node.unendorsed';
        const data = problem === null ? {} : { problem };
        await transaction.append({ at, kind, subject: id, actor, change: true, data });
        return true;
      }),
    remove: async (id, { at, actor }) =>
      write(async (transaction) => {
        const [row] = await transaction.all('DELETE FROM nodes WHERE id = ?1 RETURNING name', [id]);
        const approvals = await transaction.all('DELETE FROM approvals WHERE node = ?1 RETURNING node', [id]);
        // An approval nobody has used yet can be taken back, too.
        if (row === undefined && approvals.length === 0) return false;
        // Nor does what is under way go on: the key was trusted when it began.
        await transaction.all('DELETE FROM enrolments WHERE node = ?1', [id]);
        const kind = row === undefined ? 'node.approval-withdrawn' : 'node.removed';
        const data = row === undefined ? {} : { name: text(row, 'name') };
        await transaction.append({ at, kind, subject: id, actor, change: true, data });
        return true;
      }),
  };
}

export const findNode =
  'SELECT id, name, ek, ak, ak_name, state, labels, reenrol_until, enrolled, endorsement, last_seen FROM nodes';

const findEndorsement = `SELECT n.id, n.state, n.enrolled, n.endorsement, n.ek_certificates, a.node AS approval
  FROM nodes n LEFT JOIN approvals a ON a.node = n.id`;

const nodeStates = ['enrolled', 'suspended', 'unendorsed'] as const;

function endorsementOf(row: SqlRow): StoredEndorsement {
  const kept = textOrNull(row, 'ek_certificates') !== null;
  return {
    id: text(row, 'id'),
    state: oneOf(row, 'state', nodeStates),
    enrolled: integer(row, 'enrolled'),
    endorsement: text(row, 'endorsement'),
    ekCertificates: kept ? certificates(row, 'ek_certificates') : undefined,
    approved: textOrNull(row, 'approval') !== null,
  };
}

export function nodeOf(row: SqlRow): StoredNode {
  return {
    id: text(row, 'id'),
    name: text(row, 'name'),
    ek: bytes(row, 'ek'),
    ak: bytes(row, 'ak'),
    akName: text(row, 'ak_name'),
    state: oneOf(row, 'state', nodeStates),
    labels: json<readonly string[]>(row, 'labels', []),
    reenrolUntil: integerOrNull(row, 'reenrol_until'),
    enrolled: integer(row, 'enrolled'),
    endorsement: text(row, 'endorsement'),
    last: json<StoredLastSeen | null>(row, 'last_seen', null),
  };
}

function summaryOf(row: SqlRow): NodeSummary {
  const release = textOrNull(row, 'release_id');
  return {
    id: text(row, 'id'),
    name: text(row, 'name'),
    trust: oneOf(row, 'trust', trustStates),
    enrolled: integer(row, 'enrolled'),
    at: integerOrNull(row, 'at'),
    expires: integerOrNull(row, 'expires'),
    release:
      release === null
        ? null
        : {
            id: release,
            name: textOrNull(row, 'release_name') ?? '',
            version: textOrNull(row, 'release_version') ?? '',
          },
    reason: textOrNull(row, 'reason'),
    agent: textOrNull(row, 'agent'),
  };
}

function detailOf(row: SqlRow): NodeDetail {
  return {
    ...summaryOf(row),
    akName: text(row, 'ak_name'),
    state: oneOf(row, 'state', nodeStates),
    labels: json<readonly string[]>(row, 'labels', []),
    tlsKey: textOrNull(row, 'tls_key'),
    endorsement: text(row, 'endorsement'),
    reenrolUntil: integerOrNull(row, 'reenrol_until'),
    checks: json<readonly StoredCheck[]>(row, 'checks', []),
    last: json<StoredLastSeen | null>(row, 'last_seen', null),
  };
}
