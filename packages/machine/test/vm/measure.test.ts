/** The judge of predictions: a machine that boots the release holds exactly the predicted value in every predicted PCR. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { compareWithRelease } from '@osguard/attest';
import type { Comparison } from '@osguard/attest';
import { parseEventLog, replay } from '@osguard/formats/eventlog';
import { parseReferenceValues } from '@osguard/formats/reference-values';
import { parseUserspaceLog, replayUserspace } from '@osguard/formats/userspace-log';
import type { ReleaseFolder } from '@osguard/image';
import { initKeys, loadKeyring } from '@osguard/keys';
import type { Keyring } from '@osguard/keys';
import { scratch } from '@osguard/testkit';
import { openTools } from '../../src/index.ts';
import type { Tools } from '../../src/index.ts';
import type { Measured } from './measured-host.ts';
import { bootMeasured, buildMeasuredHost } from './measured-host.ts';

describe('what a booted machine measured', { timeout: 60 * 60_000 }, () => {
  const folder = scratch('measured');
  let tools: Tools;
  let keyring: Keyring;
  before(async () => {
    await initKeys(folder.file('keys'));
    keyring = await loadKeyring(folder.file('keys'));
    tools = await openTools({ sets: ['run'] });
  });
  after(() => folder[Symbol.dispose]());

  for (const line of ['7.x', '6.12'] as const) {
    it(`is what was predicted for Linux ${line}`, async (t) => {
      const release = await buildMeasuredHost(folder, { keyring, line });
      const measured = await bootMeasured(release, { tools, folder, keyring });
      const log = parseEventLog(measured.firmwareLog);
      const start = replay(log, 'sha256');
      const records = parseUserspaceLog(measured.userspaceLog);
      const replayed = new Map([...start, ...replayUserspace(records, 'sha256', { start })]);
      for (const [pcr, value] of replayed)
        assert.equal(value, measured.pcrs.get(pcr), `PCR ${pcr} of the logs`);
      const comparison = compare(release, measured);
      for (const { pcr, expected, found } of comparison.pcrs) {
        t.diagnostic(`PCR ${pcr}: ${found}`);
        assert.equal(found, measured.pcrs.get(pcr));
        assert.equal(found, expected, `PCR ${pcr}`);
      }
      assert.deepEqual(comparison.differences, []);
      assert.deepEqual(comparison.broken, []);
      assert.equal(comparison.phase, 'ready');
    });
  }
});

function compare(release: ReleaseFolder, measured: Measured): Comparison {
  return compareWithRelease({
    log: parseEventLog(measured.firmwareLog),
    records: parseUserspaceLog(measured.userspaceLog),
    reference: parseReferenceValues(readFileSync(release.file('reference-values.json'))),
    values: measured.pcrs,
    commandLine: measured.commandLine,
  });
}
