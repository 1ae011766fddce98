import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { scratch } from '@osguard/testkit';

import { cacheFolder, openTools, startMachine } from '../../src/index.ts';
import { suite } from '../../src/tools/table.ts';
import { ensureTree } from '../../src/tools/tree.ts';

const init = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs d /dev
/bin/busybox mount -t proc p /proc
/bin/busybox mount -t sysfs s /sys
echo "up $(/bin/busybox nproc) tpm=$(/bin/busybox cat /sys/class/tpm/tpm0/tpm_version_major)"
echo "pcr0=$(/bin/busybox cat /sys/class/tpm/tpm0/pcr-sha256/0)"
echo "oem=$(/bin/busybox strings /sys/firmware/dmi/entries/11-0/raw | /bin/busybox tail -1)"
exec 3<>/dev/ttyS1
echo listening >&3
read answer <&3
echo "heard $answer" >&3
/bin/busybox poweroff -f
`;

/** Debian's own kernel is the judge of the machine: it runs on it and finds what was promised. */
describe("Debian's kernel in the virtual machine", { timeout: 900_000 }, () => {
  it('boots, sees both processors and the measured TPM, talks on the second serial line and switches off', async () => {
    using folder = scratch('kernel');
    const tools = await openTools({ sets: ['run'] });
    const packages = ['linux-image-cloud-amd64', 'busybox-static'];
    const tree = await ensureTree({
      folder: join(cacheFolder(), 'tools'),
      suite,
      packages,
      sink: () => undefined,
    });
    const boot = join(tree.path, 'root/boot');
    const image = readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) ?? assert.fail('no kernel');
    const busybox = readFileSync(join(tree.path, 'root/usr/bin/busybox'));
    const directories = ['bin', 'dev', 'proc', 'sys'].map((name) => entry(name, 0o040755));
    const files = [entry('bin/busybox', 0o100755, busybox), entry('init', 0o100755, Buffer.from(init))];
    writeFileSync(folder.file('initrd'), newc([...directories, ...files]));
    await using machine = await startMachine(
      {
        tools,
        serialLines: 2,
        smbios: ['osguard,test=1'],
        kernel: { image: join(boot, image), initrd: folder.file('initrd'), commandLine: 'console=ttyS0' },
      },
      () => undefined,
    );
    const unless = /Kernel panic|BUG:|Oops/;
    const up = await machine.console.waitFor(/^up (\d+) tpm=(\d)/, { unless });
    assert.deepEqual(up.groups.slice(1), ['2', '2']);
    const pcr = await machine.console.waitFor(/^pcr0=([0-9A-F]{64})/, { unless });
    assert.doesNotMatch(pcr.groups[1] ?? '', /^0+$/, 'the firmware measured itself');
    await machine.console.waitFor('oem=osguard,test=1', { unless });
    const second = machine.serials[1] ?? assert.fail('no second serial line');
    await second.waitFor('listening');
    second.write('hello\n');
    await second.waitFor('heard hello');
    const exit = await machine.exited;
    assert.equal(exit.reason, 'guest-shutdown');
    assert.equal(exit.errors, '');
  });
});

interface CpioEntry {
  readonly name: string;
  readonly mode: number;
  readonly body: Uint8Array;
}

function entry(name: string, mode: number, body: Uint8Array = Buffer.alloc(0)): CpioEntry {
  return { name, mode, body };
}

const padded = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

/** Just enough of cpio's newc format (Documentation/driver-api/early-userspace/buffer-format.rst of Linux). */
function newc(entries: readonly CpioEntry[]): Buffer {
  const end = { name: 'TRAILER!!!', mode: 0, body: Buffer.alloc(0) };
  const parts = [...entries, end].map(({ name, mode, body }, index) => {
    const fields = [index + 1, mode, 0, 0, 1, 0, body.length, 0, 0, 0, 0, name.length + 1, 0];
    const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    return Buffer.concat([padded(Buffer.from(head)), padded(body)]);
  });
  return Buffer.concat(parts);
}
