/** A snapshotter put together: what it remembers, whom it trusts, where it looks, what containerd calls. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from '@osguard/formats/x509';
import { CertificateLayerAuthority } from './authority.ts';
import type { LayerAuthority } from './authority.ts';
import { SnapshotterError } from './error.ts';
import { HostLayerFinder } from './host-layer-finder.ts';
import { LayerStore } from './layer-store.ts';
import { openMetadata } from './metadata.ts';
import { mustNotLead } from './own-files.ts';
import { Revocations } from './revocations.ts';
import { serveSnapshotter } from './server.ts';
import { Snapshots } from './snapshots.ts';
import { Unpacker } from './unpack.ts';
import type { Volumes } from './volumes.ts';

export interface SnapshotterOptions {
  /** What outlives the boot: images, signatures, which snapshot stands on which. Made when it is not there. */
  readonly state: string;
  /** The socket containerd calls. */
  readonly socket: string;
  /** containerd's own socket. */
  readonly containerd: string;
  readonly volumes: Volumes;
  /** Of the role layers. */
  readonly signers: readonly Certificate[];
  /** Of the role release, which signs the list of revoked layers. */
  readonly release: Certificate;
  /** Where a newer list of revoked layers may appear, beside the folder of the state. */
  readonly revocations: readonly string[];
  /** A docker configuration with credentials that need not be there. */
  readonly credentials: string;
  /** Registries with a port of their own. */
  readonly registries: () => readonly string[];
  /** Those that may be reached without TLS. */
  readonly insecure: readonly string[];
  /** Layers without signature are mounted too, and said so. */
  readonly audit: boolean;
  readonly log: (message: string) => void;
}

export interface Snapshotter extends AsyncDisposable {
  readonly socket: string;
  /** Layers it has. */
  readonly layers: number;
}

export async function startSnapshotter(options: SnapshotterOptions): Promise<Snapshotter> {
  const { state, volumes, audit, log } = options;
  const now = Date.now;
  await mkdir(state, { recursive: true, mode: 0o711 });
  await mustNotLead(state);
  await using scope = new AsyncDisposableStack();
  const metadata = scope.use(await openMetadata(join(state, 'layers.db'), log));
  const revocations = new Revocations({
    release: options.release,
    sources: [...options.revocations, join(state, 'revocations.dsse')],
    kept: join(state, 'revocations.kept'),
    log,
  });
  const authority = new CertificateLayerAuthority({ signers: options.signers, revocations });
  const folder = join(state, 'layers');
  const layers = new LayerStore({ folder, metadata, volumes, authority, audit, now, log });
  const snapshots = new Snapshots({ folder: join(state, 'snapshots'), metadata, layers, now, log });
  await layers.start();
  await snapshots.start();
  const { containerd, credentials, registries, insecure } = options;
  const finder = new HostLayerFinder({
    containerd,
    // Images and signatures brought by hand: for hosts without a registry.
    layout: join(state, 'layout'),
    credentials,
    registries,
    insecure,
    audit,
    refusal: (rootHash, signature) => refusalOf(authority, { rootHash, signature }),
    log,
  });
  const unpacker = new Unpacker({ snapshots, layers, finder });
  const services = { snapshots, metadata, unpacker, now, log };
  const server = scope.use(await serveSnapshotter(options.socket, services));
  const running = scope.move();
  return {
    socket: server.socket,
    layers: metadata.layers().length,
    [Symbol.asyncDispose]: async () => running.disposeAsync(),
  };
}

/** Why a signature does not count; undefined when it does. */
export function refusalOf(
  authority: LayerAuthority,
  { rootHash, signature }: { readonly rootHash: string; readonly signature: Uint8Array },
): SnapshotterError | undefined {
  try {
    authority.assertAccepted(rootHash, signature);
    return undefined;
  } catch (error) {
    if (error instanceof SnapshotterError) return error;
    throw error;
  }
}
