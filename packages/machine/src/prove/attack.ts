/** One attack of the intruder as a row of the proof. */

import { MachineError } from '../error.ts';
import { attackArguments } from './arguments.ts';
import type { ProofContext } from './context.ts';
import type { Intruder } from './intruder.ts';
import type { Observation, Row, RowName } from './row.ts';
import { judgeRow, untestable } from './row.ts';

/** @throws MachineError when the machine is gone; an attack that cannot be made is an untestable row. */
export async function attackRow(row: RowName, intruder: Intruder, context: ProofContext): Promise<Row> {
  const { unprotected, unlocked } = context.controls;
  try {
    const seen = await intruder.ask(row.id, { args: attackArguments(row.id, context) });
    return judgeRow(row, withDeeper(seen, unlocked.get(row.id)), unprotected.get(row.id));
  } catch (error) {
    if (!(error instanceof MachineError) || error.code !== 'control-failed') throw error;
    return untestable(row, error.message);
  }
}

/** Where an outer lock hides an inner one, the inner one was tried with the outer one open: both have to hold. */
function withDeeper(seen: Observation, deeper: Observation | undefined): Observation {
  if (deeper === undefined) return seen;
  const inner = deeper.attempts.map(({ succeeded, detail }) => ({
    succeeded,
    detail: `with CAP_MAC_ADMIN given back and SELinux permissive: ${detail}`,
  }));
  return {
    attempts: [...seen.attempts, ...inner],
    control: seen.control ?? deeper.control,
    kernel: [...seen.kernel, ...deeper.kernel],
    seconds: seen.seconds,
  };
}
