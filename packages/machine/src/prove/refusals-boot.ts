/**
 * The release's own disk behind bad boot images, started by a hypervisor that appends kernel arguments: the firmware
 * refuses the images one after the other, starts the release, and the guard of its initrd refuses to go on.
 */

import type { ConsoleLine, LineStream } from '../vm/line-stream.ts';
import type { ProofContext } from './context.ts';
import { bootDisk, releaseDisk } from './context.ts';
import { Guest } from './guest.ts';
import type { Row } from './row.ts';
import { judgeRow } from './row.ts';
import type { AttackRow } from './table.ts';

/** `failed to load Boot0001 "…" from PciRoot(0x0)/…: Access Denied` */
const refusedImage =
  /BdsDxe: failed to (?:load|start) Boot[0-9A-F]{4} .*: (?:Access Denied|Security Violation)/;
const startedImage = /BdsDxe: starting Boot[0-9A-F]{4} /;
const nothingStarted = /BdsDxe: No bootable option/;
const refusedArguments = /osguard: .*command line/;
/** PID 1 of the host is on its way: the initrd let the boot pass. */
export const hostStarted: RegExp =
  /Successfully loaded SELinux policy|Switching root|Reached target initrd-switch-root/;

const hypervisorArguments = 'systemd.unit=emergency.target ipe.enforce=0 enforcing=0';

/** @param rows of the stages `firmware` and `hypervisor` */
export async function refusalsBoot(context: ProofContext, rows: readonly AttackRow[]): Promise<void> {
  const { files, onRow } = context;
  const tampered = files.tampered.filter(({ id }) => rows.some((row) => row.id === id));
  const smbios = rows.find(({ stage }) => stage === 'hypervisor');
  await using guest = await Guest.start(context, {
    name: 'refusals',
    title: 'bad boot images, and kernel arguments of the hypervisor',
    disks: [
      ...tampered.map((disk, index) => bootDisk(disk.path, index)),
      releaseDisk(context, tampered.length),
    ],
    smbios: [`io.systemd.stub.kernel-cmdline-extra=${hypervisorArguments}`],
    memoryMiB: 1024,
  });
  const started = await guest.waitFor(startedImage, { unless: nothingStarted });
  for (const [index, { id }] of tampered.entries()) {
    const row = rows.find((each) => each.id === id);
    if (row !== undefined) onRow(firmwareRow(row, { serial: guest.console, index, started }));
  }
  if (smbios !== undefined) onRow(await argumentsRow(smbios, guest, started));
}

interface FirmwareSeen {
  readonly serial: LineStream;
  /** Which of the bad images, in the order they were offered. */
  readonly index: number;
  /** The line that says that an image was started. */
  readonly started: ConsoleLine;
}

/** The firmware tried the bad images in their order before it started the good one. */
function firmwareRow(row: AttackRow, { serial, index, started }: FirmwareSeen): Row {
  const refusals = serial.lines.filter(
    (line) => line.number < started.number && refusedImage.test(line.text),
  );
  const line = refusals[index];
  const before = refusals[index - 1]?.at ?? serial.lines[0]?.at ?? 0;
  const detail = line?.text ?? `the firmware did not say that it refused this image; ${started.text}`;
  return judgeRow(row, {
    attempts: [{ succeeded: line === undefined, detail }],
    control: { succeeded: true, detail: `the release's own image, offered last: ${started.text}` },
    kernel: [],
    seconds: line === undefined ? 0 : (line.at - before) / 1000,
  });
}

async function argumentsRow(row: AttackRow, guest: Guest, started: ConsoleLine): Promise<Row> {
  const line = await guest.waitFor(refusedArguments, { unless: hostStarted }).catch((error: unknown) => {
    const host = guest.console.lines.find(({ text }) => hostStarted.test(text));
    if (host === undefined) throw error;
    return host;
  });
  const refused = refusedArguments.test(line.text);
  const off = refused && (await guest.stopsWithin(60_000));
  const detail = refused
    ? `${line.text}${off ? '; the machine is off' : ', but the machine goes on'}`
    : `the host starts: ${line.text}`;
  // The kernel says what it was given: without that line the arguments may never have arrived.
  const given = guest.console.lines.find(
    ({ text }) => /[Cc]ommand line:/.test(text) && text.includes(hypervisorArguments),
  );
  return judgeRow(row, {
    attempts: [{ succeeded: !off, detail }],
    control: {
      succeeded: given !== undefined || refused,
      detail: given?.text ?? 'the guard saw another command line than the signed one',
    },
    kernel: [],
    seconds: (guest.elapsed - started.at) / 1000,
  });
}
