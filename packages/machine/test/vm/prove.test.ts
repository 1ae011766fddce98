/** The whole table on a release of the container host: every attack is blocked and every control ran. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { buildImage, defaultCacheFolder, openRelease } from '@osguard/image';
import type { ReleaseFolder } from '@osguard/image';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { buildNodeExecutable } from '@osguard/node';
import { scratch } from '@osguard/testkit';

import { attackRows, prove } from '../../src/prove/index.ts';
import type { Row } from '../../src/prove/index.ts';

const definition = join(import.meta.dirname, '../../../../definitions/container-host.yaml');

describe('the proof of the container host', { timeout: 25 * 60_000 }, () => {
  const folder = scratch('prove');
  after(() => folder[Symbol.dispose]());

  it('blocks every attack', async (t) => {
    const { release, keyring } = await releaseToProve();
    const report = await prove({
      release,
      keyring,
      short: false,
      sink: (event) => {
        if (event.type === 'step' && event.state === 'started') t.diagnostic(event.title);
      },
      onRow: (row) => t.diagnostic(describeRow(row)),
    });
    const open = report.checks.filter(({ result }) => result !== 'blocked');
    assert.deepEqual(open.map(describeRow), []);
    assert.equal(report.checks.length, attackRows.length);
    assert.deepEqual(
      report.checks.filter(({ control }) => control !== 'ran').map(({ id }) => id),
      [],
    );
    assert.deepEqual(report.cleanBoot?.denials, []);
    assert.deepEqual(report.cleanBoot?.failedUnits, []);
    assert.deepEqual(report.cleanBoot?.interpreters, []);
    assert.deepEqual(report.cleanBoot?.credentials, []);
  });

  /** `OSGUARD_RELEASE` and `OSGUARD_KEYS` name one that is there; without them it is built, which is quick when cached. */
  async function releaseToProve(): Promise<{ release: ReleaseFolder; keyring: Keyring }> {
    const { OSGUARD_RELEASE: ready, OSGUARD_KEYS: keys } = process.env;
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
      nodeProgram: () => buildNodeExecutable({ cacheFolder }),
      sink: () => undefined,
    });
    return { release, keyring };
  }
});

function describeRow({ id, result, control, evidence }: Row): string {
  return `${id}: ${result}, control ${control}: ${evidence}`;
}
