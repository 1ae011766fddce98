/** A host with an attestation agent in a virtual machine: trusted as released, refused with the right reason otherwise. */

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { buildImage, defaultCacheFolder, openRelease } from '@osguard/image';
import type { ReleaseFolder } from '@osguard/image';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { buildNodeExecutable } from '@osguard/node';
import { scratch } from '@osguard/testkit';

import { runRefusals, scenarios } from '../../src/attest-demo/index.ts';
import type { RefusalRow } from '../../src/attest-demo/index.ts';
import { openTools } from '../../src/index.ts';

const definition = join(import.meta.dirname, '../../../../definitions/container-host.yaml');

function sink(): void {
  // Progress is told by the rows.
}

describe('the verdict on a machine', { timeout: 60 * 60_000 }, () => {
  const folder = scratch('attest');
  after(() => folder[Symbol.dispose]());

  it('is right whatever was done to it', async (t) => {
    const { release, keyring } = await releaseToJudge();
    const { OSGUARD_SCENARIOS: only } = process.env;
    const rows = await runRefusals({
      release,
      keyring,
      tools: await openTools({ sets: ['run'] }),
      folder: folder.file('lab'),
      consoles: folder.file('consoles'),
      sink,
      onRow: (row) => t.diagnostic(describeRow(row)),
      ...(only !== undefined && { only: only.split(',') }),
    });
    assert.deepEqual(rows.filter(({ ok }) => !ok).map(describeRow), []);
    if (only === undefined) assert.equal(rows.length, scenarios.length + 1);
  });

  /** `OSGUARD_RELEASE` and `OSGUARD_KEYS` name one that is there; without them it is built, which is quick when cached. */
  async function releaseToJudge(): Promise<{ release: ReleaseFolder; keyring: Keyring }> {
    const { OSGUARD_RELEASE: ready, OSGUARD_KEYS: keys } = process.env;
    mkdirSync(folder.file('lab'));
    if (ready !== undefined && keys !== undefined) {
      return { release: await openRelease(ready), keyring: await loadKeyring(keys) };
    }
    await initKeys(folder.file('keys'));
    const keyring = await loadKeyring(folder.file('keys'));
    const cacheFolder = defaultCacheFolder();
    const { release } = await buildImage({
      definition,
      keyring,
      output: folder.file('release'),
      cacheFolder,
      nodeProgram: async () => buildNodeExecutable({ cacheFolder, sink }),
      sink,
    });
    return { release, keyring };
  }
});

function describeRow({ id, ok, expected, found, evidence, seconds }: RefusalRow): string {
  const outcome = ok ? 'as it must be' : `WRONG: expected ${expected}; found ${found}`;
  return `${id}: ${outcome} (${Math.round(seconds)} s): ${evidence.join(' | ')}`;
}
