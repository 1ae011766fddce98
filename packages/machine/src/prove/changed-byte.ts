/** Root changes one byte of /usr below dm-verity while the host runs: the read that meets it must stop the machine. */

import { rootHashPartitionIds } from '@osguard/formats/verity';
import { MachineError } from '../error.ts';
import type { ProofContext } from './context.ts';
import type { Guest } from './guest.ts';
import { lastLines } from './guest.ts';
import type { Intruder } from './intruder.ts';
import type { Row } from './row.ts';
import { judgeRow } from './row.ts';
import type { AttackRow } from './table.ts';

export const corruption: RegExp = /device-mapper: verity: .*(?:is corrupted|corruption)|verity.*data block/;
/** A machine may panic for reasons of its own, and that shows nothing. */
const verityPanic = /Kernel panic - not syncing: .*verity.*/;

export interface ChangedByteOptions {
  readonly guest: Guest;
  readonly intruder: Intruder;
  readonly context: ProofContext;
}

/** The last row of a boot: nothing can be asked afterwards. */
export async function changedByteRow(
  row: AttackRow,
  { guest, intruder, context }: ChangedByteOptions,
): Promise<Row> {
  const started = guest.elapsed;
  const device = `/dev/disk/by-partuuid/${rootHashPartitionIds(context.rootHash).data}`;
  const { path, offset } = context.victim;
  const args = { device, offset, file: path };
  // The same writing and reading without a change: what stops the machine afterwards is the one bit.
  const { control } = await intruder.ask('usr-data-control', { args });
  if (control?.succeeded !== true) {
    const seconds = (guest.elapsed - started) / 1000;
    return judgeRow(row, { attempts: [], control, kernel: [], seconds });
  }
  const after = guest.console.lines.at(-1);
  const from = after === undefined ? {} : { after };
  const outcome = await Promise.race([
    guest.waitFor(/Kernel panic - not syncing: .*/, from).then(
      ({ text }) => ({ text }),
      () => ({ text: undefined }),
    ),
    intruder.ask(row.id, { args }).then(
      (seen) => ({ seen: { ...seen, control } }),
      // The answer never comes when the machine stops: then the console decides.
      () => new Promise<never>(() => undefined),
    ),
  ]);
  if ('seen' in outcome) return judgeRow(row, outcome.seen);
  const lines = guest.console.lines.filter(({ number }) => number > (after?.number ?? -1));
  const kernel = lines
    .map(({ text }) => text)
    .filter((text) => corruption.test(text) || verityPanic.test(text));
  if (kernel.length === 0) {
    const why = outcome.text ?? 'the machine stopped';
    throw new MachineError('machine-stopped', `${why}, and dm-verity said nothing`, {
      data: { lastLines: lastLines(guest.console) },
    });
  }
  // Its panic may have been the last it could say.
  const machineStopped = outcome.text !== undefined || (await guest.stopsWithin(1000));
  return judgeRow(row, {
    attempts: [
      {
        succeeded: !machineStopped,
        detail: `${path} after one bit of it was changed on the disk: ${outcome.text ?? 'the machine stopped'}`,
      },
    ],
    control,
    kernel,
    seconds: (guest.elapsed - started) / 1000,
  });
}
