/** Enrolments under way, applicants nobody vouched for, and operators' approvals. All lists are bounded. */

import type { Context } from './context.ts';
import type { SqlRow } from './driver.ts';
import { bytes, certificates, certificatesText, integer, json, text } from './rows.ts';
import type { Applicant, Store, StoredCheck, StoredEnrolment } from './types.ts';

export function enrolmentStore({ driver, write }: Context): Store['enrolments'] {
  return {
    add: async (enrolment, { now, total, perAddress }) =>
      write(async (transaction) => {
        await transaction.all('DELETE FROM enrolments WHERE expires <= ?1', [now]);
        const [row] = await transaction.all(
          `SELECT count(*) AS everybody, count(CASE WHEN address = ?1 THEN 1 END) AS same FROM enrolments`,
          [enrolment.address],
        );
        if (row === undefined || integer(row, 'everybody') >= total || integer(row, 'same') >= perAddress) {
          return 'full';
        }
        await transaction.all(
          `INSERT INTO enrolments (id, node, name, ek, ak, ak_name, secret_hash, address, endorsement, expires,
            ek_certificates) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)`,
          [
            enrolment.id,
            enrolment.node,
            enrolment.name,
            enrolment.ek,
            enrolment.ak,
            enrolment.akName,
            enrolment.secretHash,
            enrolment.address,
            enrolment.endorsement,
            enrolment.expires,
            certificatesText(enrolment.ekCertificates),
          ],
        );
        return 'added';
      }),
    take: async (id) =>
      write(async (transaction) => {
        const [row] = await transaction.all('DELETE FROM enrolments WHERE id = ?1 RETURNING *', [id]);
        return row && enrolmentOf(row);
      }),
    apply: async (applicant, most) =>
      write(async (transaction) => {
        const { node, name, address, at, checks } = applicant;
        const values = [node, name, address, at, JSON.stringify(checks)];
        const again = await transaction.all(
          `UPDATE applicants SET name = ?2, address = ?3, at = ?4, checks = ?5, attempts = attempts + 1
            WHERE node = ?1 RETURNING node`,
          values,
        );
        if (again.length > 0) return;
        const [row] = await transaction.all('SELECT count(*) AS waiting FROM applicants');
        // A full list keeps those it has: a flood of strangers does not push out the one an operator waits for.
        if (row === undefined || integer(row, 'waiting') >= most) return;
        await transaction.all(
          `INSERT INTO applicants (node, name, address, first_at, at, attempts, checks)
            VALUES (?1, ?2, ?3, ?4, ?4, 1, ?5)`,
          values,
        );
      }),
    async applicants() {
      const rows = await driver.all('SELECT * FROM applicants ORDER BY at DESC, node LIMIT 1000');
      return rows.map(applicantOf);
    },
    approve: async (node, { at, actor }) =>
      write(async (transaction) => {
        const [known] = await transaction.all('SELECT node FROM approvals WHERE node = ?1', [node]);
        if (known !== undefined) return 'already';
        await transaction.all('INSERT INTO approvals (node, actor, at) VALUES (?1, ?2, ?3)', [
          node,
          actor,
          at,
        ]);
        await transaction.all('DELETE FROM applicants WHERE node = ?1', [node]);
        await transaction.append({ at, kind: 'node.approved', subject: node, actor, change: true, data: {} });
        return 'approved';
      }),
    async isApproved(node) {
      return (await driver.all('SELECT node FROM approvals WHERE node = ?1', [node])).length > 0;
    },
  };
}

function enrolmentOf(row: SqlRow): StoredEnrolment {
  return {
    id: text(row, 'id'),
    node: text(row, 'node'),
    name: text(row, 'name'),
    ek: bytes(row, 'ek'),
    ak: bytes(row, 'ak'),
    akName: text(row, 'ak_name'),
    secretHash: text(row, 'secret_hash'),
    address: text(row, 'address'),
    endorsement: text(row, 'endorsement'),
    ekCertificates: certificates(row, 'ek_certificates'),
    expires: integer(row, 'expires'),
  };
}

function applicantOf(row: SqlRow): Applicant {
  return {
    node: text(row, 'node'),
    name: text(row, 'name'),
    address: text(row, 'address'),
    first: integer(row, 'first_at'),
    at: integer(row, 'at'),
    attempts: integer(row, 'attempts'),
    checks: json<readonly StoredCheck[]>(row, 'checks', []),
  };
}
