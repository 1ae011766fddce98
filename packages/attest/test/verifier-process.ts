/**
 * A verifier in a process of its own, to be killed: `fork('verifier-process.ts', [FOLDER, STORE, NODES])`. FOLDER keeps the
 * state from one start to the next; the files of its release are there (the model signs anew in each process). Nodes are put
 * into the store with the model's attestation key.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '@osguard/formats/bytes';
import { encodePem } from '@osguard/formats/x509';
import { encodePublicArea, publicAreaName } from '@osguard/formats/tpm2';
import { initKeys, loadKeyring } from '@osguard/keys';
import { issueIdentity, startVerifier } from '../src/service/index.ts';
import { openReferenceRelease } from '@osguard/attest';
import { goodPlan, goodPolicy } from '../negative/model/baseline.ts';

export interface Started {
  readonly port: number;
  readonly ca: string;
}

export function syntheticEk(index: number): Uint8Array {
  return new Uint8Array(createHash('sha512').update(`endorsement key ${index}`).digest());
}

export function syntheticNode(index: number): string {
  return createHash('sha256').update(syntheticEk(index)).digest('hex');
}

async function main([folder = '', store = '', count = '0']: readonly string[]): Promise<void> {
  const keys = join(folder, 'keys');
  await initKeys(keys, { roles: ['verifier'] }).catch(() => undefined);
  const keyring = await loadKeyring(keys);
  const signer = await keyring.signer('verifier');
  const policy = goodPolicy();
  const unlimited = { perSecond: 1e6, burst: 1e6 };
  const verifier = await startVerifier({
    state: join(folder, 'state'),
    host: '127.0.0.1',
    port: 0,
    identity: async () => issueIdentity(signer, { names: ['127.0.0.1'], now: Date.now() }),
    policy,
    version: 'test',
    log: (level, event, fields) =>
      process.stderr.write(`${level} ${event} ${JSON.stringify(fields ?? {})}\n`),
    limits: { address: unlimited, node: unlimited, noncesPerNode: 1000 },
    judges: { threads: 1 },
    ...(store !== '' && { store }),
  });
  const files = {
    manifest: readFileSync(join(folder, 'release.json')),
    referenceValues: readFileSync(join(folder, 'reference-values.json')),
  };
  const { id, manifest } = openReferenceRelease(files, { trust: policy.trust.release, state: 'promoted' });
  const now = Date.now();
  const summary = { id, name: manifest.name, version: manifest.version, state: 'promoted' } as const;
  await verifier.store.releases.add(
    { ...summary, ...files, from: null, until: null, added: now, changed: now },
    'test',
  );
  await verifier.context.refreshReleases();
  const { ak } = goodPlan();
  for (let index = 0; index < Number(count); index += 1) {
    await verifier.store.nodes.enrol({
      id: syntheticNode(index),
      name: `node-${index}`,
      ek: syntheticEk(index),
      ak: encodePublicArea(ak),
      akName: toHex(publicAreaName(ak)),
      endorsement: 'certificate',
      now,
    });
  }
  const ca = encodePem('CERTIFICATE', keyring.certificate('verifier').der);
  process.send?.({ port: verifier.port, ca } satisfies Started);
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => {
    void verifier.close().then(() => process.exit(0));
  });
}

if (import.meta.main) await main(process.argv.slice(2));
