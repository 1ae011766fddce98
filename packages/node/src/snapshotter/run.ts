/** The role `layers`: containerd's snapshotter and differ, over layers whose signatures the kernel verified. */

import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificate } from '@osguard/formats/x509';
import { decodePem, parseCertificate } from '@osguard/formats/x509';
import { NodeError } from '../error.ts';
import type { Role } from '../role.ts';
import { startSnapshotter } from './start.ts';
import { VerityVolumes } from './verity-volumes.ts';

const runtime = '/run/osguard-layers';
/** What the verifier gives to a trusted node; see the role attest. */
const secrets = '/run/osguard/secrets';

export const runSnapshotter: Role = async ({ layers: configuration }, { log, signal }) => {
  if (configuration === undefined) {
    throw new NodeError('configuration', 'the signed configuration says nothing of layers');
  }
  const { mode, insecureRegistries, signers, release } = configuration;
  const say = (message: string): void => log.notice(`layers: ${message}`);
  await using snapshotter = await startSnapshotter({
    state: '/var/lib/osguard',
    socket: join(runtime, 'containerd.sock'),
    containerd: '/run/containerd/containerd.sock',
    volumes: new VerityVolumes(join(runtime, 'layers')),
    signers: certificates(signers),
    release: only(certificates(release)),
    revocations: [join(secrets, 'layer-revocations')],
    credentials: join(secrets, 'registry.json'),
    registries: () => registriesWithFolder(insecureRegistries),
    insecure: insecureRegistries,
    audit: mode === 'audit',
    log: say,
  });
  say(`serving ${snapshotter.socket}, mode ${mode}, ${snapshotter.layers} layers`);
  if (!signal.aborted) await once(signal, 'abort');
};

/** Registries with a port of their own are known by containerd's folder for them, in signed /usr. */
function registriesWithFolder(named: readonly string[]): readonly string[] {
  const folder = '/etc/containerd/certs.d';
  return [...new Set([...named, ...(existsSync(folder) ? readdirSync(folder) : [])])];
}

function certificates(pem: string): readonly Certificate[] {
  return decodePem('CERTIFICATE', pem).map((der) => parseCertificate(der));
}

function only(found: readonly Certificate[]): Certificate {
  const [certificate, ...more] = found;
  if (certificate === undefined || more.length > 0) {
    throw new NodeError('configuration', 'layers.release must be one certificate');
  }
  return certificate;
}
