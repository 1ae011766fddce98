import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { OsguardEvent } from '@osguard/events';
import { scratch } from '@osguard/testkit';

import { openTools, startMachine } from '../../src/index.ts';
import type { Tools } from '../../src/index.ts';

const nothingToBoot = /No bootable option or device was found/;

describe('a machine with blank firmware and no disk', { timeout: 900_000 }, () => {
  let tools: Tools;
  before(async () => {
    tools = await openTools({ sets: ['run'] });
  });

  it('runs the firmware, tells steps, logs the console and obeys the control connection', async () => {
    using folder = scratch('firmware');
    const events: OsguardEvent[] = [];
    const consoleLog = folder.file('console.log');
    await using machine = await startMachine({ tools, consoleLog }, (event) => events.push(event));
    const first = await machine.console.waitFor(nothingToBoot);
    assert.ok(first.at > 0);
    assert.deepEqual(
      events.map((event) => event.type === 'step' && [event.id, event.state]),
      [
        ['vm-start', 'started'],
        ['vm-start', 'done'],
      ],
    );
    assert.deepEqual(await machine.qmp.execute('query-tpm-models'), ['tpm-crb', 'tpm-tis']);
    const status = (await machine.qmp.execute('query-status')) as { status: string };
    assert.equal(status.status, 'running');
    await machine.reset();
    await machine.console.waitFor(nothingToBoot, { after: first });
    const exit = await machine.stop();
    assert.equal(exit.reason, 'host-qmp-quit');
    assert.match(readFileSync(consoleLog, 'latin1'), nothingToBoot);
  });

  it('keeps variables and TPM in a state folder, throws overlays away and keeps the wanted one', async () => {
    using folder = scratch('state');
    const disk = folder.file('blank.raw');
    writeFileSync(disk, Buffer.alloc(1024 * 1024));
    const overlay = folder.file('kept.qcow2');
    const options = {
      tools,
      state: folder.file('state'),
      disks: [
        { path: disk, format: 'raw', writes: 'snapshot' },
        { path: disk, format: 'raw', writes: { overlay }, serial: 'second' },
      ],
    } as const;
    for (const round of [1, 2]) {
      await using machine = await startMachine(options, () => undefined);
      await machine.console.waitFor(/BdsDxe/);
      assert.equal((await machine.stop()).reason, 'host-qmp-quit', `round ${round}`);
    }
    assert.ok(existsSync(overlay));
    assert.ok(existsSync(folder.file('state/variables.fd')));
    assert.ok(readdirSync(folder.file('state/tpm')).some((name) => name.endsWith('.permall')));
    assert.equal(
      readFileSync(disk).every((byte) => byte === 0),
      true,
    );
  });

  it('says what is wrong when QEMU refuses', async () => {
    const started = startMachine(
      { tools, kernel: { image: '/nonexistent', commandLine: '' } },
      () => undefined,
    );
    await assert.rejects(started, { code: 'start-failed', message: /nonexistent/ });
    const missing = startMachine(
      { tools, disks: [{ path: '/no/disk', format: 'raw', writes: 'snapshot' }] },
      () => undefined,
    );
    await assert.rejects(missing, { code: 'bad-option', message: /\/no\/disk/ });
  });

  it('stops at once when the caller aborts', async () => {
    const abort = new AbortController();
    const machine = await startMachine({ tools, signal: abort.signal }, () => undefined);
    abort.abort();
    assert.equal((await machine.exited).reason, 'host-signal');
    assert.equal(existsSync(`/proc/${machine.pid}`), false);
  });

  for (const signal of ['SIGKILL', 'SIGINT', 'SIGTERM'] as const)
    it(`dies with the process that started it (${signal})`, async () => {
      const starter = join(import.meta.dirname, 'start-and-wait.ts');
      const child = spawn(process.execPath, [starter], { stdio: ['ignore', 'pipe', 'inherit'] });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const { pids } = JSON.parse(String((await lines.next()).value)) as { pids: number[] };
      assert.equal(pids.length, 2, 'QEMU and swtpm');
      assert.ok(pids.every((pid) => isAlive(pid)));
      child.kill(signal);
      for (let waited = 0; pids.some((pid) => isAlive(pid)) && waited < 5000; waited += 50) await sleep(50);
      assert.deepEqual(
        pids.filter((pid) => isAlive(pid)),
        [],
      );
    });
});

/** A zombie that nobody has waited for yet is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
