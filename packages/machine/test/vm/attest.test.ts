/** A host with an attestation agent in a virtual machine: trusted as released, refused with the right reason otherwise. */

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, describe, it } from 'node:test';

import { scratch } from '@osguard/testkit';

import { runRefusals, scenarios } from '../../src/attest-demo/index.ts';
import type { RefusalRow } from '../../src/attest-demo/index.ts';
import { openTools } from '../../src/index.ts';
import { releaseToUse } from './release-to-use.ts';

function sink(): void {
  // Progress is told by the rows.
}

describe('the verdict on a machine', { timeout: 60 * 60_000 }, () => {
  const folder = scratch('attest');
  after(() => folder[Symbol.dispose]());

  it('is right whatever was done to it', async (t) => {
    const { release, keyring } = await releaseToUse(folder);
    mkdirSync(folder.file('lab'));
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
});

function describeRow({ id, ok, expected, found, evidence, seconds }: RefusalRow): string {
  const outcome = ok ? 'as it must be' : `WRONG: expected ${expected}; found ${found}`;
  return `${id}: ${outcome} (${Math.round(seconds)} s): ${evidence.join(' | ')}`;
}
