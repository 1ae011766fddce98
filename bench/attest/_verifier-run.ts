/**
 * A verifier in a process of its own, with nodes enrolled: `fork('_verifier-run.ts', [FOLDER, NODES])`. Tells its port and
 * its authority by message, and its memory when asked. FOLDER holds plan.json and becomes the state folder.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodePem } from '@osguard/formats/x509';
import { initKeys, loadKeyring } from '@osguard/keys';
import { createToken, issueIdentity, startVerifier } from '@osguard/attest/service';
import type { Store } from '@osguard/attest/service';
import { goodPolicy } from '../../packages/attest/negative/model/baseline.ts';
import { signRelease } from '../../packages/attest/negative/model/boot.ts';
import { openReferenceRelease } from '@osguard/attest';
import { fixtures } from './_evidence.ts';
import { endorsementKey, nodeId, readPlan } from './_plan.ts';

export interface Ready {
  readonly type: 'ready';
  readonly port: number;
  readonly ca: string;
  readonly token: string;
  readonly release: string;
}

export interface Memory {
  readonly type: 'memory';
  /** Bytes. */
  readonly resident: number;
}

const [folder = '', nodes = '0', port = '0'] = process.argv.slice(2);
const keys = join(folder, 'keys');

async function enrolAll(store: Store, count: number): Promise<void> {
  const { ak, akName } = readPlan(folder);
  const now = Date.now();
  for (let start = 0; start < count; start += 1000) {
    await Promise.all(
      Array.from({ length: Math.min(1000, count - start) }, async (_, offset) => {
        const index = start + offset;
        const name = `machine-${index}`;
        await store.nodes.enrol({
          id: nodeId(index),
          name,
          ek: endorsementKey(index),
          ak,
          akName,
          endorsement: 'certificate',
          now,
        });
      }),
    );
  }
}

/** The same bytes at every start: a signature made anew is another release. */
function releaseFiles(): { readonly manifest: Uint8Array; readonly referenceValues: Uint8Array } {
  const referenceValues = readFileSync(join(fixtures, 'reference-values.json'));
  const file = join(folder, 'release.json');
  const { name, version }: { name: string; version: string } = JSON.parse(referenceValues.toString());
  try {
    return { manifest: readFileSync(file), referenceValues };
  } catch {
    const { manifest } = signRelease(version, referenceValues, name);
    writeFileSync(file, manifest);
    return { manifest, referenceValues };
  }
}

const first = await initKeys(keys, { roles: ['verifier'] }).then(
  () => true,
  () => false,
);
const keyring = await loadKeyring(keys);
const signer = await keyring.signer('verifier');
const policy = { ...goodPolicy(), firmware: { dbx: [], versions: [], pcr0: [], drivers: [] } };
const unlimited = { perSecond: 1e9, burst: 1e9 };
const verifier = await startVerifier({
  state: join(folder, 'state'),
  host: '127.0.0.1',
  port: Number(port),
  identity: async () => issueIdentity(signer, { names: ['127.0.0.1'], now: Date.now() }),
  policy,
  version: 'bench',
  log: (level, event, fields) => {
    if (level !== 'info') process.stderr.write(`${event} ${JSON.stringify(fields)}\n`);
  },
  limits: { address: unlimited, node: unlimited, noncesPerNode: 1000 },
});
const files = releaseFiles();
const { id, manifest } = openReferenceRelease(files, { trust: policy.trust.release, state: 'promoted' });
const now = Date.now();
const added = { id, name: manifest.name, version: manifest.version, state: 'promoted', added: now } as const;
await verifier.store.releases.add({ ...added, from: null, until: null, changed: now, ...files }, 'bench');
await verifier.context.refreshReleases();
if (first) await enrolAll(verifier.store, Number(nodes));
const { token } = await createToken(verifier.store, {
  name: 'bench',
  role: 'admin',
  now,
  expires: null,
  actor: 'bench',
});
const ca = encodePem('CERTIFICATE', keyring.certificate('verifier').der);
process.send?.({ type: 'ready', port: verifier.port, ca, token, release: id } satisfies Ready);
process.on('message', () => {
  process.send?.({ type: 'memory', resident: process.memoryUsage.rss() } satisfies Memory);
});
process.on('disconnect', () => process.exit(0));
