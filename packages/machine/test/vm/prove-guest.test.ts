/** A machine of the proof that goes silent or takes too long is given up; nobody waits for it for ever. */

import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';

import { parseRootHash } from '@osguard/formats/verity';

import { MachineError, openTools } from '../../src/index.ts';
import type { Tools } from '../../src/index.ts';
import type { BootLimits, ProofContext } from '../../src/prove/context.ts';
import { noControls } from '../../src/prove/context.ts';
import { Guest } from '../../src/prove/guest.ts';
import { Intruder } from '../../src/prove/intruder.ts';
import type { ProofFiles } from '../../src/prove/proof-files.ts';

describe('a guest of the proof', { timeout: 300_000 }, () => {
  let tools: Tools;
  before(async () => {
    tools = await openTools({ sets: ['run'] });
  });

  function contextWith(limits: BootLimits, signal?: AbortSignal): ProofContext {
    return {
      tools,
      // A machine without disks needs none of them.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      files: {} as ProofFiles,
      disk: '',
      variables: '',
      rootHash: parseRootHash('ab'.repeat(32)),
      victim: { path: '', offset: 0, data: 0, tree: 0, firstLeaf: 0 },
      memoryMiB: 512,
      cpus: 1,
      folder: '',
      sink: () => undefined,
      onRow: () => undefined,
      limits,
      controls: noControls,
      ...(signal !== undefined && { signal }),
    };
  }
  const options = { name: 'nothing', title: 'a machine without disks', disks: [], secureBoot: false };

  it('is given up when it says nothing any more', async () => {
    await using guest = await Guest.start(contextWith({ total: 280_000, silence: 3000 }), options);
    await assert.rejects(guest.waitFor(/never said/), /said nothing for \d+ s/);
  });

  it('is given up when the boot takes too long', async () => {
    await using guest = await Guest.start(contextWith({ total: 2000, silence: 280_000 }), options);
    await assert.rejects(guest.waitFor(/never said/), /longer than 2 s/);
  });

  it('has no intruder when the firmware finds nothing to boot', async () => {
    await using guest = await Guest.start(contextWith({ total: 280_000, silence: 280_000 }), options);
    await assert.rejects(new Intruder(guest).ready(), /did not get in: .*No bootable option/);
  });

  it('is switched off at once when the proof is interrupted', async () => {
    const controller = new AbortController();
    const limits = { total: 280_000, silence: 280_000 };
    await using guest = await Guest.start(contextWith(limits, controller.signal), options);
    setTimeout(() => controller.abort(), 200);
    await assert.rejects(
      guest.waitFor(/never said/),
      (error: unknown) => error instanceof MachineError && error.code === 'machine-stopped',
    );
  });
});
