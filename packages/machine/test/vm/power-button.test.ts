import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { ReleaseFolder } from '@osguard/image';
import { scratch } from '@osguard/testkit';
import { openTools, startMachine } from '../../src/index.ts';
import { runOrThrow } from '../../src/process/run.ts';
import { enrolledVariables } from '../../src/prove/variables.ts';
import type { Tools } from '../../src/tools/open.ts';
import { releaseToUse } from './release-to-use.ts';

/** What `virsh shutdown` and the soft stop of clouds do: ACPI's power button, QEMU's system_powerdown. */
describe('the power button', { timeout: 25 * 60_000 }, () => {
  it('ends the host in order, with /var unmounted', async () => {
    using folder = scratch('power');
    const { release, keyring } = await releaseToUse(folder);
    const tools = await openTools({ sets: ['run'] });
    const variables = folder.file('variables.fd');
    writeFileSync(variables, enrolledVariables(keyring, { tools, release }));
    const overlay = folder.file('disk.qcow2');
    {
      const limit = AbortSignal.timeout(20 * 60_000);
      await using machine = await startMachine({
        tools,
        variables,
        signal: limit,
        disks: [{ path: release.file('disk.raw'), format: 'raw', writes: { overlay } }],
        consoleLog: process.env['OSGUARD_CONSOLE'] ?? folder.file('console.log'),
      });
      const unless = /Kernel panic|Reached target .*emergency/;
      const timeoutMs = 10 * 60_000;
      const { console } = machine;
      await console.waitFor(/osguard-layers.*serving/, { unless, timeoutMs });
      // As somebody who waits would; the first may come before anybody listens.
      const press = setInterval(
        () => void machine.qmp.execute('system_powerdown').catch(() => undefined),
        5000,
      );
      const exit = await machine.exited;
      clearInterval(press);
      assert.equal(exit.reason, 'guest-shutdown', console.lines.at(-1)?.text);
      const text = console.lines.map((line) => line.text).join('\n');
      assert.match(text, /reboot: Power down/);
      assert.doesNotMatch(text, /avc: +denied|Failed to unmount|Could not unmount/);
    }
    const { magic, state, features } = await superblockOfVar(overlay, { release, tools });
    assert.equal(magic, 0xef53);
    assert.equal(state & 1, 1, 'cleanly unmounted');
    assert.equal(features & 4, 0, 'nothing is left to be recovered from the journal');
  });
});

/** Of the ext4 that the first boot made behind the last partition (Linux, filesystems/ext4/super). */
async function superblockOfVar(
  overlay: string,
  { release, tools }: { readonly release: ReleaseFolder; readonly tools: Tools },
): Promise<{ readonly magic: number; readonly state: number; readonly features: number }> {
  const start = Math.max(...release.manifest.partitions.map(({ offset, size }) => offset + size));
  const args = ['-r', '-f', 'qcow2', '-c', `read -v ${start + 1024} 1024`, overlay];
  const dump = await runOrThrow(tools.command('qemu-io', args));
  const hex = [...dump.stdout.matchAll(/^[0-9a-f]+: +((?:[0-9a-f]{2} )+)/gm)]
    .map(([, bytes]) => bytes)
    .join('');
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return {
    magic: bytes.readUInt16LE(0x38),
    state: bytes.readUInt16LE(0x3a),
    features: bytes.readUInt32LE(0x60),
  };
}
