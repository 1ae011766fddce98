/** The second boot of the disk on which the intruder left things behind: what survived, and what it still does. */

import { persistArguments } from './arguments.ts';
import { changedByteRow } from './changed-byte.ts';
import type { ProofContext } from './context.ts';
import { bootDisk, intruderDisk, releaseDisk } from './context.ts';
import { Guest } from './guest.ts';
import { Intruder } from './intruder.ts';
import type { Observation } from './row.ts';
import { judgeRow } from './row.ts';
import type { AttackRow } from './table.ts';

export interface RebootOptions {
  readonly rows: readonly AttackRow[];
  readonly overlay: string;
  /** What he managed to leave behind. */
  readonly planted: Observation;
}

export async function rebootBoot(
  context: ProofContext,
  { rows, overlay, planted }: RebootOptions,
): Promise<void> {
  await using guest = await Guest.start(context, {
    name: 'reboot',
    title: 'the same disk boots again',
    disks: [bootDisk(context.files.planted, 0), releaseDisk(context, 1, overlay), intruderDisk(context)],
  });
  const intruder = new Intruder(guest);
  await intruder.ready();
  const before = planted.attempts.map(
    ({ succeeded, detail }) => `before the reboot, ${succeeded ? 'left there' : 'refused'}: ${detail}`,
  );
  for (const row of rows.filter(({ stage }) => stage === 'reboot')) {
    const judged = judgeRow(row, await intruder.ask(row.id, { args: persistArguments }));
    context.onRow({ ...judged, details: [...judged.details, ...before] });
  }
  const usrData = rows.find(({ id }) => id === 'usr-data');
  if (usrData !== undefined) context.onRow(await changedByteRow(usrData, { guest, intruder, context }));
}
