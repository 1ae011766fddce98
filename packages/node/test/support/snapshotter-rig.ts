/** A snapshotter with everything real but the kernel: layers are folders with a name, opened unless a test says no. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Client } from '@connectrpc/connect';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { Diff } from '../../src/containerd/gen/diff_pb.ts';
import { Snapshots as SnapshotsApi } from '../../src/containerd/gen/snapshots_pb.ts';
import type { LayerAuthority } from '../../src/snapshotter/authority.ts';
import type { LayerFinder } from '../../src/snapshotter/find-layer.ts';
import { LayerStore } from '../../src/snapshotter/layer-store.ts';
import { Metadata } from '../../src/snapshotter/metadata.ts';
import type { Layer } from '../../src/snapshotter/model.ts';
import { SnapshotterError } from '../../src/snapshotter/error.ts';
import { serveSnapshotter } from '../../src/snapshotter/server.ts';
import { Snapshots } from '../../src/snapshotter/snapshots.ts';
import { Unpacker } from '../../src/snapshotter/unpack.ts';
import type { Volumes } from '../../src/snapshotter/volumes.ts';

export const diffId = (n: number): string => `sha256:${String(n).padStart(64, '0')}`;

/** Instead of the kernel: remembers what is open. */
export class FakeVolumes implements Volumes {
  readonly mounted: Map<number, string> = new Map();
  /** Root hashes that do not open, and why. */
  readonly refused: Map<string, string> = new Map();
  /** Root hashes of which the kernel met a wrong block. */
  readonly wrong: Set<string> = new Set();
  /** Layers that are in use. */
  readonly used: Set<number> = new Set();
  opens = 0;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(layer: Layer): Promise<string> {
    const why = this.refused.get(layer.rootHash);
    if (why !== undefined) throw new SnapshotterError('layer-refused', why);
    const folder = join(this.#folder, String(layer.id));
    if (!this.mounted.has(layer.id)) this.opens += 1;
    this.mounted.set(layer.id, layer.rootHash);
    return folder;
  }

  async close(id: number): Promise<void> {
    if (this.used.has(id)) throw new SnapshotterError('precondition', `layer ${id} is in use`);
    this.mounted.delete(id);
  }

  async opened(): Promise<readonly number[]> {
    return [...this.mounted.keys()];
  }

  async damaged(): Promise<ReadonlySet<string>> {
    return this.wrong;
  }
}

/** The layer with digest n is the image with diff ID n and root hash n. */
export class FakeFinder implements LayerFinder {
  finds = 0;
  signatures: readonly Uint8Array[] = [Uint8Array.of(1)];
  /** Awaited before a find answers. */
  gate: Promise<unknown> = Promise.resolve();

  async find({ digest, output }: Parameters<LayerFinder['find']>[0]): ReturnType<LayerFinder['find']> {
    this.finds += 1;
    await this.gate;
    writeFileSync(output, 'image');
    const hex = digest.slice('sha256:'.length);
    return {
      image: output,
      rootHash: hex,
      diffId: digest,
      size: 5,
      hashOffset: 4096,
      signatures: this.signatures,
    };
  }
}

export interface Rig extends AsyncDisposable {
  readonly snapshots: Client<typeof SnapshotsApi>;
  readonly diff: Client<typeof Diff>;
  readonly volumes: FakeVolumes;
  readonly finder: FakeFinder;
  readonly metadata: Metadata;
  readonly layers: LayerStore;
  readonly folder: string;
  readonly log: string[];
}

export async function startRig(
  folder: string,
  {
    volumes = new FakeVolumes('/layers'),
    audit = false,
    authority = { assertAccepted: () => undefined },
  }: { volumes?: FakeVolumes; audit?: boolean; authority?: LayerAuthority } = {},
): Promise<Rig> {
  mkdirSync(join(folder, 'layers'), { recursive: true });
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const now = Date.now;
  const metadata = new Metadata(join(folder, 'metadata.db'));
  const layers = new LayerStore({
    folder: join(folder, 'layers'),
    metadata,
    volumes,
    authority,
    audit,
    now,
    log,
  });
  const snapshots = new Snapshots({ folder: join(folder, 'snapshots'), metadata, layers, now, log });
  await layers.start();
  await snapshots.start();
  const finder = new FakeFinder();
  const unpacker = new Unpacker({ snapshots, layers, finder });
  const socket = join(folder, 'socket');
  const server = await serveSnapshotter(socket, { snapshots, metadata, unpacker, now, log });
  const transport = createGrpcTransport({
    baseUrl: 'http://localhost',
    nodeOptions: { createConnection: () => connect(socket) },
  });
  return {
    snapshots: createClient(SnapshotsApi, transport),
    diff: createClient(Diff, transport),
    volumes,
    finder,
    metadata,
    layers,
    folder,
    log: lines,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      metadata[Symbol.dispose]();
    },
  };
}

/** As containerd's unpacker does it: prepare, apply, commit under the chain ID. */
export async function unpack(
  rig: Rig,
  n: number,
  { parent = '', name }: { parent?: string; name: string },
): Promise<void> {
  const key = `extract-${name}`;
  const labels = { 'containerd.io/snapshot.ref': name };
  const { mounts } = await rig.snapshots.prepare({ key, parent, labels });
  const media = 'application/vnd.oci.image.layer.v1.tar+gzip';
  const { applied } = await rig.diff.apply({
    diff: { digest: diffId(n), mediaType: media, size: 10n },
    mounts,
  });
  if (applied?.digest !== diffId(n)) throw new Error(`applied ${applied?.digest}`);
  await rig.snapshots.commit({ key, name, labels });
}
