/** The role `layers`: containerd's snapshotter and differ, over layers whose signatures the kernel verified. */

import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from '@osguard/formats/x509';
import { decodePem, parseCertificate } from '@osguard/formats/x509';
import { NodeError } from '../error.ts';
import type { Role } from '../role.ts';
import { CertificateLayerAuthority } from './authority.ts';
import { HostLayerFinder } from './host-layer-finder.ts';
import { LayerStore } from './layer-store.ts';
import { Metadata } from './metadata.ts';
import { Revocations } from './revocations.ts';
import { serveSnapshotter } from './server.ts';
import { Snapshots } from './snapshots.ts';
import { Unpacker } from './unpack.ts';
import { VerityVolumes } from './verity-volumes.ts';

/** What outlives the boot: images, signatures, and which snapshot stands on which. */
const state = '/var/lib/osguard';
const runtime = '/run/osguard-layers';
const containerd = '/run/containerd/containerd.sock';
/** Images and signatures brought by hand, as an OCI image layout: for hosts without a registry. */
const layout = join(state, 'layout');
/** Credentials for registries, as docker keeps them; delivered by attestation. */
const credentials = '/run/osguard/secrets/registry.json';

/** The list of revoked layers: as the verifier gives it to a trusted node, or brought by hand. */
const revocationSources = ['/run/osguard/secrets/layer-revocations', join(state, 'revocations.dsse')];

export const runSnapshotter: Role = async ({ layers: configuration }, { log, signal }) => {
  if (configuration === undefined) {
    throw new NodeError('configuration', 'the signed configuration says nothing of layers');
  }
  const audit = configuration.mode === 'audit';
  const say = (message: string): void => log.notice(`layers: ${message}`);
  await mkdir(state, { recursive: true, mode: 0o711 });
  using metadata = new Metadata(join(state, 'layers.db'));
  const volumes = new VerityVolumes(join(runtime, 'layers'));
  const now = Date.now;
  const authority = new CertificateLayerAuthority({
    signers: decodePem('CERTIFICATE', configuration.signers).map((der) => parseCertificate(der)),
    revocations: new Revocations({
      release: onlyCertificate(configuration.release),
      sources: revocationSources,
      kept: join(state, 'revocations.kept'),
      log: say,
    }),
  });
  const folder = join(state, 'layers');
  const layers = new LayerStore({ folder, metadata, volumes, authority, audit, now, log: say });
  const snapshots = new Snapshots({ folder: join(state, 'snapshots'), metadata, layers, now, log: say });
  await layers.start();
  await snapshots.start();
  const finder = new HostLayerFinder({
    containerd,
    layout,
    credentials,
    registries: () => registriesWithFolder(configuration.insecureRegistries),
    insecure: configuration.insecureRegistries,
    audit,
    log: say,
  });
  const unpacker = new Unpacker({ snapshots, metadata, layers, finder });
  const socket = join(runtime, 'containerd.sock');
  await using server = await serveSnapshotter(socket, { snapshots, metadata, unpacker, now, log: say });
  say(`serving ${server.socket}, mode ${configuration.mode}, ${metadata.layers().length} layers`);
  if (!signal.aborted) await once(signal, 'abort');
};

/** Registries with a port of their own are known by containerd's folder for them, in signed /usr. */
function registriesWithFolder(named: readonly string[]): readonly string[] {
  const folder = '/etc/containerd/certs.d';
  return [...new Set([...named, ...(existsSync(folder) ? readdirSync(folder) : [])])];
}

function onlyCertificate(pem: string): Certificate {
  const [der] = decodePem('CERTIFICATE', pem);
  if (der === undefined) throw new NodeError('configuration', 'layers.release is no certificate');
  return parseCertificate(der);
}
