/**
 * What containerd's snapshots API does, over layers the kernel verified. A snapshot that becomes part of an image must hold
 * such a layer; a container's own snapshot is a writable folder above them, from which nothing executes.
 */

import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chainId, chainIdOf } from './chain-id.ts';
import { SnapshotterError } from './error.ts';
import type { FolderUsage } from './folder-usage.ts';
import { folderUsage } from './folder-usage.ts';
import type { LayerStore } from './layer-store.ts';
import type { Metadata } from './metadata.ts';
import type { Kind, Layer, Snapshot } from './model.ts';
import { kinds } from './model.ts';
import { mustBeFolders, ownFolder } from './own-files.ts';
import { removeTree } from './remove-tree.ts';

/** containerd.types.Mount without what a snapshotter never fills in. */
export interface SnapshotMount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface SnapshotsOptions {
  /** Folder of the snapshots' own folders. */
  readonly folder: string;
  readonly metadata: Metadata;
  readonly layers: LayerStore;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: (message: string) => void;
}

export interface PrepareRequest {
  readonly key: string;
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** containerd sets it on snapshots into which a layer is to be unpacked. */
const unpackLabel = 'containerd.io/snapshot.ref';

/** Layers of one container; the first start after a boot runs two tools for each. */
const openedAtOnce = 8;

export class Snapshots {
  readonly #options: SnapshotsOptions;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** Makes the folder, and removes those of snapshots that never came to be or are gone. */
  async start(): Promise<void> {
    const { folder, metadata } = this.#options;
    await ownFolder(folder, 0o711);
    // The rows after the names: a snapshot has its row before its folder, so none that is being made goes.
    const names = await readdir(folder);
    const known = new Set(metadata.snapshots().map((snapshot) => String(snapshot.id)));
    for (const name of names) {
      if (!known.has(name)) await this.#removeFolder(join(folder, name));
    }
  }

  async prepare(request: PrepareRequest): Promise<readonly SnapshotMount[]> {
    return this.#create(request, kinds.active);
  }

  async view(request: PrepareRequest): Promise<readonly SnapshotMount[]> {
    return this.#create(request, kinds.view);
  }

  async mounts(key: string): Promise<readonly SnapshotMount[]> {
    const snapshot = this.#options.metadata.get(key);
    if (snapshot.kind === kinds.committed) {
      throw new SnapshotterError('precondition', `snapshot ${key} is committed and has no mounts of its own`);
    }
    return this.#mountsOf(snapshot);
  }

  /** The snapshot whose folder these mounts name, when it is one of ours that waits for a layer. */
  unpackingInto(mounts: readonly SnapshotMount[]): Snapshot | undefined {
    const { folder, metadata } = this.#options;
    for (const snapshot of metadata.snapshots()) {
      if (snapshot.kind !== kinds.active) continue;
      const upper = join(folder, String(snapshot.id), 'fs');
      const named = mounts.some(
        ({ source, options }) => source === upper || options.includes(`upperdir=${upper}`),
      );
      if (named) return snapshot;
    }
    return undefined;
  }

  /** Whether the snapshot becomes what it is meant for with a layer of this diff ID, where its label says what that is. */
  fits(snapshot: Snapshot, diffId: string): boolean {
    const wanted = chainIdOf(snapshot.labels[unpackLabel] ?? '');
    if (wanted === undefined) return true;
    const parents = snapshot.parent === '' ? [] : this.#options.metadata.chain(snapshot.parent);
    return chainId([...layersOf(parents).map((layer) => layer.diffId), diffId]) === wanted;
  }

  /** @throws SnapshotterError `precondition` unless a verified layer was put into the snapshot, and it is the named one. */
  async commit(
    key: string,
    name: string,
    { labels }: { readonly labels: Readonly<Record<string, string>> },
  ): Promise<void> {
    const { metadata, now } = this.#options;
    const [snapshot, ...parents] = metadata.chain(key);
    if (snapshot === undefined || snapshot.kind !== kinds.active) {
      throw new SnapshotterError('precondition', `snapshot ${key} is not active`);
    }
    if (snapshot.layer === undefined) {
      throw new SnapshotterError(
        'precondition',
        `snapshot ${key} holds no verified layer; only signed layers become part of an image`,
        { hint: 'build the image elsewhere, push it, and sign it with: osguard layers sign' },
      );
    }
    const wanted = chainIdOf(name);
    const chain = chainId([...layersOf(parents), snapshot.layer].map((layer) => layer.diffId));
    if (wanted !== undefined && wanted !== chain) {
      throw new SnapshotterError('layer-mismatch', `the layers of ${name} are those of ${chain}`);
    }
    metadata.commit(snapshot.id, name, { labels, now: now() });
    await this.#removeFolder(this.#folderOf(snapshot));
  }

  /** The folder goes at once; layers nobody stands on go with `cleanup`. */
  async remove(key: string): Promise<void> {
    const { metadata, layers } = this.#options;
    const snapshot = metadata.remove(key);
    await this.#removeFolder(this.#folderOf(snapshot));
    if (snapshot.layer !== undefined) await layers.collect();
    // A container has gone; whether it met a damaged layer, nobody waits to hear.
    else void layers.lookForDamage();
  }

  async usage(key: string): Promise<FolderUsage> {
    const snapshot = this.#options.metadata.get(key);
    if (snapshot.layer !== undefined) return { size: snapshot.layer.size, inodes: 2 };
    return folderUsage(join(this.#folderOf(snapshot), 'fs'));
  }

  async cleanup(): Promise<void> {
    await this.#options.layers.collect();
    await this.start();
  }

  async #create({ key, parent, labels }: PrepareRequest, kind: Kind): Promise<readonly SnapshotMount[]> {
    const { metadata, now } = this.#options;
    const snapshot = metadata.create({ key, parent, kind, labels, now: now() });
    try {
      const folder = this.#folderOf(snapshot);
      await removeTree(folder);
      await mkdir(folder, { mode: 0o711 });
      await mkdir(join(folder, 'fs'));
      // The root folder of the container: whoever it runs as has to get through, whatever the umask here.
      await chmod(join(folder, 'fs'), 0o755);
      if (kind === kinds.active) await mkdir(join(folder, 'work'), { mode: 0o711 });
      return await this.#mountsOf(snapshot);
    } catch (error) {
      metadata.remove(key);
      await removeTree(this.#folderOf(snapshot));
      throw error;
    }
  }

  async #mountsOf(snapshot: Snapshot): Promise<readonly SnapshotMount[]> {
    const folder = this.#folderOf(snapshot);
    const upper = join(folder, 'fs');
    await mustBeFolders(folder, upper);
    if (snapshot.labels[unpackLabel] !== undefined) {
      // The differ takes the snapshot from this and mounts nothing.
      return [{ type: 'bind', source: upper, options: ['rw', 'rbind'] }];
    }
    const { metadata, layers } = this.#options;
    const parents = snapshot.parent === '' ? [] : metadata.chain(snapshot.parent);
    this.#mustFollow(parents);
    const topDown = layersOf(parents).toReversed();
    const lower: string[] = [];
    for (let at = 0; at < topDown.length; at += openedAtOnce) {
      const some = topDown.slice(at, at + openedAtOnce).map((layer) => layers.open(layer));
      lower.push(...(await Promise.all(some)));
    }
    const writable = snapshot.kind === kinds.active;
    if (writable) await mustBeFolders(join(folder, 'work'));
    if (lower.length === 0) {
      return [{ type: 'bind', source: upper, options: [writable ? 'rw' : 'ro', 'rbind'] }];
    }
    const [only, ...others] = lower;
    if (!writable && only !== undefined && others.length === 0) {
      return [{ type: 'bind', source: only, options: ['ro', 'rbind'] }];
    }
    const lowerdir = `lowerdir=${lower.join(':')}`;
    const options = writable
      ? [`workdir=${join(folder, 'work')}`, `upperdir=${upper}`, lowerdir]
      : ['ro', lowerdir];
    return [{ type: 'overlay', source: 'overlay', options }];
  }

  /** Each name of the chain is the chain ID of the layers below it: a row swapped on the disk does not go unseen. */
  #mustFollow(parents: readonly Snapshot[]): void {
    const diffIds: string[] = [];
    for (const parent of parents.toReversed()) {
      if (parent.layer === undefined) {
        throw new SnapshotterError('precondition', `snapshot ${parent.key} holds no verified layer`);
      }
      diffIds.push(parent.layer.diffId);
      const wanted = chainIdOf(parent.key);
      if (wanted !== undefined && wanted !== chainId(diffIds)) {
        throw new SnapshotterError('layer-mismatch', `the layers of snapshot ${parent.key} are not its own`);
      }
    }
  }

  /** The snapshot is gone already: what cannot be deleted now, the next start deletes. */
  async #removeFolder(folder: string): Promise<void> {
    try {
      await removeTree(folder);
    } catch (error) {
      this.#options.log(`${folder} stays: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #folderOf(snapshot: Snapshot): string {
    return join(this.#options.folder, String(snapshot.id));
  }
}

/** From the base upwards. */
function layersOf(topDown: readonly Snapshot[]): readonly Layer[] {
  return topDown
    .toReversed()
    .map((snapshot) => snapshot.layer)
    .filter((layer) => layer !== undefined);
}
