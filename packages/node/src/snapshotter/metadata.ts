/**
 * Snapshots and layers as rows of one SQLite file. Everything here lies on /var and is believed by nobody: a layer is
 * opened by the kernel against its signature, and names itself.
 */

import { rename, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import type { SQLOutputValue, StatementSync } from 'node:sqlite';
import { SnapshotterError } from './error.ts';
import type { Kind, Layer, Snapshot } from './model.ts';
import { kinds } from './model.ts';
import { isOwnFile } from './own-files.ts';

const schema = `
  CREATE TABLE IF NOT EXISTS layers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    root_hash TEXT NOT NULL UNIQUE,
    diff_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    hash_offset INTEGER NOT NULL,
    signed INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    parent TEXT NOT NULL,
    kind INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    labels TEXT NOT NULL,
    layer INTEGER REFERENCES layers(id)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS snapshots_parent ON snapshots(parent);
  CREATE INDEX IF NOT EXISTS snapshots_layer ON snapshots(layer);
  PRAGMA user_version = 1;
`;

const select = `
  SELECT s.id, s.key, s.parent, s.kind, s.created, s.updated, s.labels,
         l.id AS layer_id, l.root_hash, l.diff_id, l.size, l.hash_offset, l.signed
  FROM snapshots s LEFT JOIN layers l ON l.id = s.layer`;

const selectLayer = 'SELECT id AS layer_id, root_hash, diff_id, size, hash_offset, signed FROM layers';

type Row = Readonly<Record<string, SQLOutputValue>>;

export interface NewSnapshot {
  readonly key: string;
  readonly parent: string;
  readonly kind: Kind;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export class Metadata implements Disposable {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @param path of the file, or `:memory:`. @throws SnapshotterError `precondition` when it is another database. */
  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    try {
      const found = tablesOf(this.#database);
      // Views and triggers that somebody put in would run with every statement.
      if (found !== '' && found !== tables) {
        throw new SnapshotterError('precondition', `${path} has other tables than the snapshotter's`);
      }
      // Full: containerd keeps its own record of a snapshot, which a power loss must not outlive ours.
      this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;');
      if (found === '') this.#database.exec(schema);
      const check = this.#database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
      if (check !== 'ok') throw new SnapshotterError('precondition', `${path}: ${String(check)}`);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  snapshots(): readonly Snapshot[] {
    return this.#prepare(`${select} ORDER BY s.id`).all().map(snapshotOf);
  }

  find(key: string): Snapshot | undefined {
    const row = this.#prepare(`${select} WHERE s.key = ?`).get(key);
    return row === undefined ? undefined : snapshotOf(row);
  }

  /** @throws SnapshotterError `not-found`. */
  get(key: string): Snapshot {
    const found = this.find(key);
    if (found === undefined) throw new SnapshotterError('not-found', `snapshot ${key} does not exist`);
    return found;
  }

  /** From the snapshot itself down to the base. @throws SnapshotterError when a parent is missing. */
  chain(key: string): readonly Snapshot[] {
    const chain: Snapshot[] = [];
    for (let next = key; next !== '';) {
      const snapshot = this.get(next);
      chain.push(snapshot);
      // A parent is always older than its child, so a longer chain than this is a circle somebody wrote into the file.
      if (chain.length > maximumChain)
        throw new SnapshotterError('precondition', `${key} has too many parents`);
      next = snapshot.parent;
    }
    return chain;
  }

  /** @throws SnapshotterError `already-exists`, `not-found` or `precondition` (the parent is not committed). */
  create({ key, parent, kind, labels, now }: NewSnapshot): Snapshot {
    if (key === '') throw new SnapshotterError('bad-request', 'a snapshot needs a key');
    this.#mustBeFree(key);
    if (parent !== '' && this.get(parent).kind !== kinds.committed) {
      throw new SnapshotterError('precondition', `parent ${parent} is not committed`);
    }
    this.#prepare(
      'INSERT INTO snapshots (key, parent, kind, created, updated, labels) VALUES (?, ?, ?, ?, ?, ?)',
    ).run(key, parent, kind, now, now, JSON.stringify(labels));
    return this.get(key);
  }

  /** False when the layer or the snapshot has gone meanwhile. */
  setLayer(snapshotId: number, layerId: number): boolean {
    const { changes } = this.#prepare(
      `UPDATE snapshots SET layer = ?1 WHERE id = ?2 AND kind = ?3
       AND EXISTS (SELECT id FROM layers WHERE id = ?1)`,
    ).run(layerId, snapshotId, kinds.active);
    return changes === 1;
  }

  /** The active snapshot becomes a committed one under its new name. @throws SnapshotterError `already-exists`. */
  commit(id: number, name: string, { labels, now }: Pick<NewSnapshot, 'labels' | 'now'>): void {
    this.#mustBeFree(name);
    this.#prepare('UPDATE snapshots SET key = ?, kind = ?, labels = ?, updated = ? WHERE id = ?').run(
      name,
      kinds.committed,
      JSON.stringify(labels),
      now,
      id,
    );
  }

  setLabels(id: number, labels: Readonly<Record<string, string>>, now: number): void {
    this.#prepare('UPDATE snapshots SET labels = ?, updated = ? WHERE id = ?').run(
      JSON.stringify(labels),
      now,
      id,
    );
  }

  /** @throws SnapshotterError `not-found`, or `precondition` while another snapshot stands on it. */
  remove(key: string): Snapshot {
    const snapshot = this.get(key);
    const child = this.#prepare('SELECT key FROM snapshots WHERE parent = ? LIMIT 1').get(key);
    if (child !== undefined) {
      throw new SnapshotterError('precondition', `snapshot ${key} is the parent of ${String(child['key'])}`);
    }
    this.#prepare('DELETE FROM snapshots WHERE id = ?').run(snapshot.id);
    return snapshot;
  }

  layers(): readonly Layer[] {
    return this.#prepare(selectLayer).all().map(layerOf);
  }

  findLayer(rootHash: string): Layer | undefined {
    const row = this.#prepare(`${selectLayer} WHERE root_hash = ?`).get(rootHash);
    return row === undefined ? undefined : layerOf(row);
  }

  /** The layer of this root hash, made when it is new. */
  addLayer(layer: Omit<Layer, 'id'>): Layer {
    this.#prepare(
      `INSERT INTO layers (root_hash, diff_id, size, hash_offset, signed) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (root_hash) DO UPDATE SET
         diff_id = excluded.diff_id, size = excluded.size, hash_offset = excluded.hash_offset,
         signed = excluded.signed`,
    ).run(layer.rootHash, layer.diffId, layer.size, layer.hashOffset, layer.signed ? 1 : 0);
    const added = this.findLayer(layer.rootHash);
    if (added === undefined) throw new Error('the layer just written is not there');
    return added;
  }

  /** Layers on which no snapshot stands any more. */
  unusedLayers(): readonly Layer[] {
    return this.#prepare(
      `${selectLayer}
       WHERE id NOT IN (SELECT layer FROM snapshots WHERE layer IS NOT NULL)`,
    )
      .all()
      .map(layerOf);
  }

  /** False when a snapshot has come to stand on it meanwhile. */
  forgetLayer(id: number): boolean {
    const { changes } = this.#prepare(
      'DELETE FROM layers WHERE id = ? AND id NOT IN (SELECT layer FROM snapshots WHERE layer IS NOT NULL)',
    ).run(id);
    return changes === 1;
  }

  /** No layer to come gets this number or a lower one. */
  passOver(id: number): void {
    this.#prepare("DELETE FROM sqlite_sequence WHERE name = 'layers' AND seq < ?").run(id);
    this.#prepare(
      `INSERT INTO sqlite_sequence (name, seq) SELECT 'layers', ?
       WHERE NOT EXISTS (SELECT seq FROM sqlite_sequence WHERE name = 'layers')`,
    ).run(id);
  }

  #mustBeFree(key: string): void {
    if (this.find(key) !== undefined) {
      throw new SnapshotterError('already-exists', `snapshot ${key} exists already`);
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/**
 * A database that cannot be read is put aside and begun anew: it only remembers what containerd can ask for again, and a
 * host whose disk failed or was tampered with must not stay without containers.
 */
export async function openMetadata(path: string, log: (message: string) => void): Promise<Metadata> {
  const files = ['', '-wal', '-shm', '-journal'].map((suffix) => `${path}${suffix}`);
  for (const file of files) await isOwnFile(file);
  try {
    return new Metadata(path);
  } catch (error) {
    if (!isBroken(error)) throw error;
    log(`${path} is begun anew, for it cannot be used: ${String(error)}`);
  }
  await rm(`${path}.broken`, { recursive: true, force: true });
  await rename(path, `${path}.broken`);
  for (const file of files) await rm(file, { force: true });
  return new Metadata(path);
}

/** SQLITE_CORRUPT and SQLITE_NOTADB (sqlite.org/rescode.html), or other contents than ours. */
function isBroken(error: unknown): boolean {
  if (error instanceof SnapshotterError) return error.code === 'precondition';
  return error instanceof Error && 'errcode' in error && [11, 26].includes(Number(error.errcode) & 0xff);
}

function tablesOf(database: DatabaseSync): string {
  const rows = database.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all();
  return rows.length === 0 ? '' : JSON.stringify(rows);
}

const tables = ((): string => {
  const database = new DatabaseSync(':memory:');
  database.exec(schema);
  const found = tablesOf(database);
  database.close();
  return found;
})();

/** overlayfs itself takes 500 lower folders. */
const maximumChain = 501;

function snapshotOf(row: Row): Snapshot {
  const labels: Record<string, string> = JSON.parse(String(row['labels']));
  return {
    id: Number(row['id']),
    key: String(row['key']),
    parent: String(row['parent']),
    kind: kindOf(Number(row['kind'])),
    created: Number(row['created']),
    updated: Number(row['updated']),
    labels,
    layer: row['layer_id'] === null ? undefined : layerOf(row),
  };
}

function layerOf(row: Row): Layer {
  const rootHash = String(row['root_hash']);
  // It becomes the name of a folder.
  if (!/^[0-9a-f]{64}$/.test(rootHash)) {
    throw new SnapshotterError('precondition', `the store has a layer without root hash`);
  }
  return {
    id: Number(row['layer_id']),
    rootHash,
    diffId: String(row['diff_id']),
    size: Number(row['size']),
    hashOffset: Number(row['hash_offset']),
    signed: row['signed'] === 1,
  };
}

function kindOf(value: number): Kind {
  for (const kind of Object.values(kinds)) if (kind === value) return kind;
  throw new SnapshotterError('precondition', `the store knows no kind ${value} of snapshots`);
}
