/**
 * One boot for everything the firmware and the enforcing host can show: the firmware is offered bad images first, the
 * hypervisor hands in a credential, then the intruder makes his attacks.
 */

import type { ConsoleLine, LineStream } from '../vm/line-stream.ts';
import { persistArguments, smbiosCredential } from './arguments.ts';
import { attackRow } from './attack.ts';
import { changedByteRow } from './changed-byte.ts';
import type { ProofContext } from './context.ts';
import { bootDisk, intruderDisk, releaseDisk } from './context.ts';
import { Guest } from './guest.ts';
import { Intruder, stopped } from './intruder.ts';
import type { Observation, Row } from './row.ts';
import { judgeRow } from './row.ts';
import type { AttackRow } from './table.ts';

/** `failed to load Boot0001 "…" from PciRoot(0x0)/…: Access Denied` */
const refusedImage =
  /BdsDxe: failed to (?:load|start) Boot[0-9A-F]{4} .*: (?:Access Denied|Security Violation)/;
const startedImage = /BdsDxe: starting Boot[0-9A-F]{4} /;

export interface MainBootOptions {
  readonly rows: readonly AttackRow[];
  /** Given when a reboot of the same disk follows: what is written is kept here, and /usr is not changed. */
  readonly overlay?: string;
  /** Called with what the agent reports of the clean boot, as JSON text. */
  readonly onState: (text: string) => void;
}

/** Returns what the intruder left behind for the reboot. */
export async function mainBoot(
  context: ProofContext,
  { rows, overlay, onState }: MainBootOptions,
): Promise<Observation | undefined> {
  const { files, onRow } = context;
  const wanted = (id: string): AttackRow | undefined => rows.find((row) => row.id === id);
  const tampered = files.tampered.filter(({ id }) => wanted(id) !== undefined);
  await using guest = await Guest.start(context, {
    name: 'main',
    title: 'the release boots, the intruder attacks',
    disks: [
      ...tampered.map((disk, index) => bootDisk(disk.path, index)),
      bootDisk(files.planted, tampered.length),
      releaseDisk(context, tampered.length + 1, overlay),
      intruderDisk(context),
    ],
    smbios: [smbiosCredential],
  });
  const started = await guest.waitFor(startedImage, { unless: stopped });
  for (const [index, { id }] of tampered.entries()) {
    const row = wanted(id);
    if (row !== undefined) onRow(firmwareRow(row, { console: guest.console, index, started }));
  }

  const intruder = new Intruder(guest);
  await intruder.ready();
  const state = await intruder.ask('boot-state');
  onState(state.attempts[0]?.detail ?? '');
  for (const row of rows.filter(({ stage }) => stage === 'intruder')) {
    onRow(await attackRow(row, intruder, context));
  }
  if (overlay !== undefined) return await intruder.ask('persist-plant', { args: persistArguments });
  const usrData = wanted('usr-data');
  if (usrData !== undefined) onRow(await changedByteRow(usrData, { guest, intruder, context }));
  return undefined;
}

interface FirmwareSeen {
  readonly console: LineStream;
  /** Which of the bad images, in the order they were offered. */
  readonly index: number;
  /** The line that says that the good image was started. */
  readonly started: ConsoleLine;
}

/** The firmware tried the bad images in their order before it started the good one. */
function firmwareRow(row: AttackRow, { console, index, started }: FirmwareSeen): Row {
  const refusals = console.lines.filter(
    (line) => line.number < started.number && refusedImage.test(line.text),
  );
  const line = refusals[index];
  const before = refusals[index - 1]?.at ?? console.lines[0]?.at ?? 0;
  const detail = line?.text ?? 'the firmware did not say that it refused this image';
  return judgeRow(row, {
    attempts: [{ succeeded: line === undefined, detail }],
    control: { succeeded: true, detail: `the same image, signed by the role boot: ${started.text}` },
    kernel: [],
    seconds: line === undefined ? 0 : (line.at - before) / 1000,
  });
}
