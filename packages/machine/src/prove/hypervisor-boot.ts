/** The hypervisor appends kernel arguments: the guard in the initrd must refuse to go on. */

import type { ProofContext } from './context.ts';
import { releaseDisk } from './context.ts';
import { Guest } from './guest.ts';
import type { Row } from './row.ts';
import { judgeRow } from './row.ts';
import type { AttackRow } from './table.ts';

const refused = /osguard: .*command line/;
/** PID 1 of the host is on its way: the arguments were accepted. */
export const hostStarted: RegExp =
  /Successfully loaded SELinux policy|Switching root|Reached target initrd-switch-root/;

export async function hypervisorArgumentsBoot(context: ProofContext, row: AttackRow): Promise<Row> {
  await using guest = await Guest.start(context, {
    name: 'smbios',
    title: 'boot with kernel arguments of the hypervisor',
    disks: [releaseDisk(context, 0)],
    smbios: ['io.systemd.stub.kernel-cmdline-extra=systemd.unit=emergency.target ipe.enforce=0 enforcing=0'],
    memoryMiB: 1024,
  });
  const line = await guest.waitFor(refused, { unless: hostStarted }).catch((error: unknown) => {
    const started = guest.console.lines.find(({ text }) => hostStarted.test(text));
    if (started === undefined) throw error;
    return started;
  });
  const wasRefused = refused.test(line.text);
  const off = wasRefused && (await guest.stopsWithin(60_000));
  // The kernel says what it was given: without that line the arguments may never have arrived.
  const given = guest.console.lines.find(({ text }) =>
    /Kernel command line:.*ipe\.enforce=0 enforcing=0/.test(text),
  );
  const detail = wasRefused
    ? `${line.text}${off ? '; the machine is off' : ', but the machine goes on'}`
    : `the host starts: ${line.text}`;
  return judgeRow(row, {
    attempts: [{ succeeded: !off, detail }],
    control: {
      succeeded: given !== undefined || wasRefused,
      detail: given?.text ?? 'the guard saw another command line than the signed one',
    },
    kernel: [],
    seconds: guest.elapsed / 1000,
  });
}
