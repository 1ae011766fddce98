/**
 * One boot for everything the enforcing host can show: the hypervisor hands in a credential, the intruder makes his
 * attacks, and in the end changes /usr below the running host.
 */

import { containerRows } from '../containers/container-rows.ts';
import { persistArguments, smbiosCredential } from './arguments.ts';
import { attackRow } from './attack.ts';
import { changedByteRow } from './changed-byte.ts';
import type { ProofContext } from './context.ts';
import { bootDisk, containerDisks, intruderDisk, releaseDisk } from './context.ts';
import { Guest } from './guest.ts';
import { Intruder } from './intruder.ts';
import type { Observation } from './row.ts';
import type { AttackRow } from './table.ts';

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
  await using guest = await Guest.start(context, {
    name: 'main',
    title: 'the release boots, the intruder attacks',
    disks: [
      bootDisk(files.planted, 0),
      releaseDisk(context, 1, overlay),
      intruderDisk(context),
      ...containerDisks(context),
    ],
    smbios: [smbiosCredential],
  });
  const intruder = new Intruder(guest);
  await intruder.ready();
  const state = await intruder.ask('boot-state');
  onState(state.attempts[0]?.detail ?? '');
  for (const row of rows.filter(({ stage }) => stage === 'intruder')) {
    onRow(await attackRow(row, intruder, context));
  }
  if (files.containers !== undefined) {
    const wanted = rows.filter(({ stage }) => stage === 'container');
    await containerRows({ intruder, files: files.containers, rows: wanted, onRow });
  }
  if (overlay !== undefined) return await intruder.ask('persist-plant', { args: persistArguments });
  const usrData = rows.find(({ id }) => id === 'usr-data');
  if (usrData !== undefined) onRow(await changedByteRow(usrData, { guest, intruder, context }));
  return undefined;
}
