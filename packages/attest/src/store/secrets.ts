/** Secrets, sealed before they come here, and operators' tokens, known here by their hash only. */

import type { Context } from './context.ts';
import type { SqlRow } from './driver.ts';
import { bytes, integer, integerOrNull, json, oneOf, text } from './rows.ts';
import { isInScope } from './scope.ts';
import { nodesAndReleases, trustCase } from './trust.ts';
import { tokenRoles } from './types.ts';
import type { SecretAnswer, SecretScope, Store, TokenSummary } from './types.ts';

export function secretStore({ driver, write }: Context): Store['secrets'] {
  return {
    set: async ({ name, size, set, by, scope, sealed }) =>
      write(async (transaction) => {
        await transaction.all(
          `INSERT INTO secrets (name, size, set_at, set_by, scope, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (name) DO UPDATE SET size = ?2, set_at = ?3, set_by = ?4, scope = ?5, sealed = ?6`,
          [name, size, set, by, JSON.stringify(scope), sealed],
        );
        const data = { size, scope };
        await transaction.append({
          at: set,
          kind: 'secret.set',
          subject: name,
          actor: by,
          change: true,
          data,
        });
      }),
    remove: async (name, { at, actor }) =>
      write(async (transaction) => {
        const rows = await transaction.all('DELETE FROM secrets WHERE name = ?1 RETURNING name', [name]);
        if (rows.length === 0) return false;
        await transaction.append({
          at,
          kind: 'secret.removed',
          subject: name,
          actor,
          change: true,
          data: {},
        });
        return true;
      }),
    async list() {
      const rows = await driver.all('SELECT name, size, set_at, set_by, scope FROM secrets ORDER BY name');
      return rows.map((row) => ({
        name: text(row, 'name'),
        size: integer(row, 'size'),
        set: integer(row, 'set_at'),
        by: text(row, 'set_by'),
        scope: scopeOf(row),
      }));
    },
    release: async ({ name, tlsKey, now, address }) =>
      write(async (transaction): Promise<SecretAnswer> => {
        // Looked at inside the transaction that records it: a revocation is either before or after.
        const trusted = await transaction.all(
          `SELECT n.id, n.labels, n.expires, n.release_id, r.name AS release_name, r.version AS release_version
            FROM ${nodesAndReleases} WHERE n.tls_key = ?2 AND ${trustCase('?1')} = 'trusted'`,
          [now, tlsKey],
        );
        const [node] = trusted;
        if (node === undefined) return { outcome: 'not-trusted' };
        const [secret] = await transaction.all('SELECT sealed, scope FROM secrets WHERE name = ?1', [name]);
        if (secret === undefined) return { outcome: 'not-found' };
        const id = text(node, 'id');
        const recipient = {
          node: id,
          labels: json<readonly string[]>(node, 'labels', []),
          release: {
            id: text(node, 'release_id'),
            name: text(node, 'release_name'),
            version: text(node, 'release_version'),
          },
        };
        if (!isInScope(scopeOf(secret), recipient)) return { outcome: 'out-of-scope', node: id };
        const data = { secret: name, release: text(node, 'release_id'), address };
        await transaction.append({
          at: now,
          kind: 'secret.released',
          subject: id,
          actor: 'node',
          change: false,
          data,
        });
        return {
          outcome: 'released',
          node: id,
          expires: integer(node, 'expires'),
          sealed: bytes(secret, 'sealed'),
        };
      }),
  };
}

function scopeOf(row: SqlRow): SecretScope | 'everyone' {
  // Without one nobody gets it.
  return json<SecretScope | 'everyone'>(row, 'scope', { nodes: [''], labels: [], releases: [] });
}

export function tokenStore({ driver, write }: Context): Store['tokens'] {
  return {
    add: async ({ id, hash, name, role, created, expires }, actor) =>
      write(async (transaction) => {
        await transaction.all(
          'INSERT INTO tokens (id, hash, name, role, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)',
          [id, hash, name, role, created, expires],
        );
        const data = { name, role, expires };
        await transaction.append({
          at: created,
          kind: 'token.created',
          subject: id,
          actor,
          change: false,
          data,
        });
      }),
    async find(hash) {
      const [row] = await driver.all('SELECT id, name, role, created, expires FROM tokens WHERE hash = ?1', [
        hash,
      ]);
      return row && tokenOf(row);
    },
    async list() {
      const rows = await driver.all(
        'SELECT id, name, role, created, expires FROM tokens ORDER BY created, id',
      );
      return rows.map(tokenOf);
    },
    remove: async (id, { at, actor }) =>
      write(async (transaction) => {
        const [row] = await transaction.all('DELETE FROM tokens WHERE id = ?1 RETURNING name, role', [id]);
        if (row === undefined) return false;
        const data = { name: text(row, 'name'), role: text(row, 'role') };
        await transaction.append({ at, kind: 'token.removed', subject: id, actor, change: false, data });
        return true;
      }),
  };
}

function tokenOf(row: SqlRow): TokenSummary {
  return {
    id: text(row, 'id'),
    name: text(row, 'name'),
    role: oneOf(row, 'role', tokenRoles),
    created: integer(row, 'created'),
    expires: integerOrNull(row, 'expires'),
  };
}
