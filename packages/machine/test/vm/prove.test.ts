/** The whole table on a release of the container host: every attack is blocked and every control ran. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import { scratch } from '@osguard/testkit';

import { attackRows, prove } from '../../src/prove/index.ts';
import type { Row } from '../../src/prove/index.ts';
import { releaseToUse } from './release-to-use.ts';

describe('the proof of the container host', { timeout: 25 * 60_000 }, () => {
  const folder = scratch('prove');
  after(() => folder[Symbol.dispose]());

  it('blocks every attack', async (t) => {
    const { release, keyring } = await releaseToUse(folder);
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
});

function describeRow({ id, result, control, evidence }: Row): string {
  return `${id}: ${result}, control ${control}: ${evidence}`;
}
