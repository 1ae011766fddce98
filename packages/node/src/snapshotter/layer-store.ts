/**
 * The verity images of layers on /var. A file appears under its root hash only when it is whole; whether it is what its
 * name says, the kernel decides whenever it is opened.
 */

import { lstat, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LayerAuthority } from './authority.ts';
import { SnapshotterError } from './error.ts';
import type { Metadata } from './metadata.ts';
import type { Layer } from './model.ts';
import { isOwnFile, ownFolder, readOwnFile } from './own-files.ts';
import type { LayerFiles, Volumes } from './volumes.ts';

/** A verity image in a file of the incoming folder, not yet looked at by the kernel. */
export interface IncomingLayer {
  readonly image: string;
  readonly rootHash: string;
  readonly diffId: string;
  readonly size: number;
  readonly hashOffset: number;
  /** Detached PKCS#7, DER, the likeliest first; none only with `mode: audit`. */
  readonly signatures: readonly Uint8Array[];
}

export interface LayerStoreOptions {
  /** Folder of this store. */
  readonly folder: string;
  readonly metadata: Metadata;
  readonly volumes: Volumes;
  readonly authority: LayerAuthority;
  /** `mode: audit` of the signed definition: layers without signature are opened, and said so. */
  readonly audit: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: (message: string) => void;
}

/** What a download keeps of an image beside its name. */
const continued = /\.(?:part|index)$/;
/** Bytes: of one that findVerityImages reads. */
const largestSignature = 64 * 1024;
/** Nobody comes back for a download after this many milliseconds. */
const longestPause = 24 * 60 * 60_000;

export class LayerStore {
  readonly #options: LayerStoreOptions;
  readonly #busy = new Map<string, Promise<unknown>>();
  /** Root hashes. */
  readonly #damaged = new Set<string>();

  constructor(options: LayerStoreOptions) {
    this.#options = options;
  }

  /** Where images are written before they have a name. */
  get incoming(): string {
    return join(this.#options.folder, 'incoming');
  }

  /** Makes the folders, and removes what an earlier process left half done. */
  async start(): Promise<void> {
    const { folder, metadata, volumes, now, log } = this.#options;
    await ownFolder(folder, 0o700);
    await ownFolder(this.incoming, 0o700);
    for (const name of await readdir(this.incoming)) {
      const path = join(this.incoming, name);
      if (!(await isOwnFile(path))) continue;
      // An interrupted download goes on; whole images were not yet looked at, and are fetched or made again.
      if (!continued.test(name) || (await lstat(path)).mtimeMs < now() - longestPause) await rm(path);
    }
    const known = new Map(metadata.layers().map((layer) => [layer.id, layer]));
    for (const id of await volumes.opened()) {
      if (known.has(id)) continue;
      await volumes.close(id).catch((error: unknown) => {
        log(`layer ${id} stays open: ${String(error)}`);
        metadata.passOver(id);
      });
    }
    const names = new Set([...known.values()].map((layer) => layer.rootHash));
    for (const name of await readdir(folder)) {
      if (name === 'incoming') continue;
      const path = join(folder, name);
      if (names.has(name)) await ownFolder(path, 0o700);
      else await rm(path, { recursive: true, force: true });
    }
  }

  /**
   * Takes an image in and has the kernel open it. Afterwards it is one of the store's layers, or nothing is left of it.
   * @throws SnapshotterError `layer-unsigned`, `layer-refused`, `layer-mismatch`, `layer-revoked`.
   */
  add(incoming: IncomingLayer): Promise<Layer> {
    return this.#exclusive(incoming.rootHash, () => this.#add(incoming));
  }

  /**
   * From now on the snapshot stands on the layer, and nobody closes it.
   * @returns false when the layer or the snapshot has gone meanwhile: another snapshot was the last that stood on it.
   */
  attach({ rootHash }: Layer, snapshotId: number): Promise<boolean> {
    const { metadata } = this.#options;
    return this.#exclusive(rootHash, async () => {
      const layer = metadata.findLayer(rootHash);
      if (layer === undefined) return false;
      await this.#open(layer);
      return metadata.setLayer(snapshotId, layer.id);
    });
  }

  /** Mounts the layer unless it is. @returns its folder. @throws SnapshotterError, also when it was revoked since. */
  open(layer: Layer): Promise<string> {
    return this.#exclusive(layer.rootHash, () => this.#open(layer));
  }

  /** Unmounts and deletes layers on which no snapshot stands. One still in use stays for the next time. */
  async collect(): Promise<void> {
    for (const layer of this.#options.metadata.unusedLayers()) {
      await this.#exclusive(layer.rootHash, () => this.#drop(layer));
    }
  }

  /** Asks the kernel which open layers are not what was signed: they are not used until they are stored anew. */
  async lookForDamage(): Promise<void> {
    const { volumes, log } = this.#options;
    try {
      for (const rootHash of await volumes.damaged()) {
        if (!this.#damaged.has(rootHash)) log(`the stored image of root hash ${rootHash} is damaged`);
        this.#damaged.add(rootHash);
      }
    } catch (error) {
      log(`damage was not looked for: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #add(incoming: IncomingLayer): Promise<Layer> {
    const { metadata, audit } = this.#options;
    const { image, rootHash, diffId, size, hashOffset, signatures } = incoming;
    const known = metadata.findLayer(rootHash);
    if (known !== undefined && (await this.#stillOpens(known))) {
      await rm(image, { force: true });
      return known;
    }
    if (known !== undefined && this.#damaged.has(rootHash)) await this.#close(known);
    if (signatures.length === 0 && !audit) {
      throw new SnapshotterError('layer-unsigned', `layer ${diffId} has no signature`);
    }
    await this.#place(incoming);
    let refusal: unknown;
    for (const signature of signatures.length === 0 ? [undefined] : signatures) {
      try {
        return await this.#tryLayer({ rootHash, diffId, size, hashOffset }, signature);
      } catch (error) {
        refusal = error;
      }
    }
    const left = metadata.findLayer(rootHash);
    if (left === undefined || metadata.forgetLayer(left.id)) {
      await rm(this.#folderOf(rootHash), { recursive: true, force: true });
    }
    throw refusal;
  }

  async #tryLayer(record: Omit<Layer, 'id' | 'signed'>, signature: Uint8Array | undefined): Promise<Layer> {
    const { metadata, authority, log } = this.#options;
    authority.assertAccepted(record.rootHash, signature);
    await this.#placeSignature(record.rootHash, signature);
    const layer = metadata.addLayer({ ...record, signed: signature !== undefined });
    await this.#open(layer);
    if (!layer.signed) log(`layer ${layer.diffId} is NOT signed; mounted because layers.mode is audit`);
    return layer;
  }

  async #open(layer: Layer): Promise<string> {
    const { volumes, authority, audit } = this.#options;
    // Whether a signature is needed, the signed configuration says and not a row on /var.
    if (!layer.signed && !audit) {
      throw new SnapshotterError('layer-unsigned', `layer ${layer.diffId} has no signature`);
    }
    const files = this.#filesOf(layer);
    const signature =
      files.signature === undefined ? undefined : readOwnFile(files.signature, largestSignature);
    if (layer.signed && signature === undefined) {
      throw new SnapshotterError('layer-unsigned', `the signature of layer ${layer.diffId} is gone`);
    }
    authority.assertAccepted(layer.rootHash, signature);
    if (this.#damaged.has(layer.rootHash)) {
      throw new SnapshotterError(
        'layer-damaged',
        `the stored image of layer ${layer.diffId} is damaged: the kernel met a block that is not what was signed`,
        { hint: 'remove the image with: ctr images rm --sync, then pull it again' },
      );
    }
    return volumes.open(layer, files);
  }

  async #close(layer: Layer): Promise<void> {
    await this.#options.volumes.close(layer.id);
    this.#damaged.delete(layer.rootHash);
  }

  async #stillOpens(layer: Layer): Promise<boolean> {
    try {
      await this.#open(layer);
      return true;
    } catch (error) {
      this.#options.log(
        `the stored image of layer ${layer.diffId} no longer opens and is replaced: ${String(error)}`,
      );
      return false;
    }
  }

  async #drop(layer: Layer): Promise<void> {
    const { metadata, log } = this.#options;
    // A snapshot may have come to stand on it while this waited.
    if (!metadata.unusedLayers().some(({ id }) => id === layer.id)) return;
    try {
      await this.#close(layer);
    } catch (error) {
      log(`layer ${layer.diffId} stays: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    metadata.forgetLayer(layer.id);
    await rm(this.#folderOf(layer.rootHash), { recursive: true, force: true });
  }

  #folderOf(rootHash: string): string {
    return join(this.#options.folder, rootHash);
  }

  #filesOf(layer: Layer): LayerFiles {
    const folder = this.#folderOf(layer.rootHash);
    return {
      image: join(folder, 'layer.erofs'),
      signature: layer.signed ? join(folder, 'layer.p7s') : undefined,
    };
  }

  async #place({ image, rootHash, size }: IncomingLayer): Promise<void> {
    const found = await stat(image);
    if (found.size !== size) {
      throw new SnapshotterError('layer-mismatch', `the image has ${found.size} bytes instead of ${size}`);
    }
    const folder = this.#folderOf(rootHash);
    // Nothing of what may lie there is used; a volume that is still open keeps its file.
    await rm(folder, { recursive: true, force: true });
    await ownFolder(folder, 0o700);
    await sync(image);
    await rename(image, join(folder, 'layer.erofs'));
    await sync(folder);
  }

  async #placeSignature(rootHash: string, signature: Uint8Array | undefined): Promise<void> {
    if (signature === undefined) return;
    const path = join(this.#folderOf(rootHash), 'layer.p7s');
    const aside = `${path}.new`;
    {
      await rm(aside, { force: true });
      await using file = await open(aside, 'wx', 0o600);
      await file.writeFile(signature);
      await file.sync();
    }
    await rename(aside, path);
  }

  /** One after the other for each layer; different layers at once. */
  async #exclusive<T>(rootHash: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(rootHash) ?? Promise.resolve();
    const next = before.then(work, work);
    const settled = next.catch(() => undefined);
    this.#busy.set(rootHash, settled);
    try {
      return await next;
    } finally {
      if (this.#busy.get(rootHash) === settled) this.#busy.delete(rootHash);
    }
  }
}

async function sync(path: string): Promise<void> {
  await using file = await open(path, 'r');
  await file.sync();
}
