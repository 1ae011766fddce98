/** Which boots a proof makes, in which order, and how their rows come together. */

import { join } from 'node:path';
import { MachineError } from '../error.ts';
import type { CleanBoot } from './clean-boot.ts';
import { parseCleanBoot } from './clean-boot.ts';
import type { Controls, ProofContext } from './context.ts';
import type { Observations } from './control-boots.ts';
import { unlockedAttacks, unlockedBoot, unprotectedAttacks, unprotectedBoot } from './control-boots.ts';
import { mainBoot } from './main-boot.ts';
import { offlineBoot } from './offline-boots.ts';
import { rebootBoot } from './reboot-boot.ts';
import { refusalsBoot } from './refusals-boot.ts';
import type { Observation, Row } from './row.ts';
import { untestable } from './row.ts';
import type { AttackRow, Stage } from './table.ts';

export interface BootPlan {
  readonly rows: readonly AttackRow[];
  /** With control boots. */
  readonly full: boolean;
  /** How many machines may run at the same time. */
  readonly lanes: 1 | 2;
}

export interface BootResults {
  /** In the order of the table. */
  readonly checks: readonly Row[];
  readonly cleanBoot?: CleanBoot;
}

/** The boots themselves; tests give their own. */
export interface Boots {
  readonly main: typeof mainBoot;
  readonly reboot: typeof rebootBoot;
  readonly refusals: typeof refusalsBoot;
  readonly offline: typeof offlineBoot;
  readonly unprotected: typeof unprotectedBoot;
  readonly unlocked: typeof unlockedBoot;
}

const realBoots: Boots = {
  main: mainBoot,
  reboot: rebootBoot,
  refusals: refusalsBoot,
  offline: offlineBoot,
  unprotected: unprotectedBoot,
  unlocked: unlockedBoot,
};

/** A boot that fails makes its rows untestable and nothing else. @throws MachineError (`aborted`) */
export async function runBoots(
  context: ProofContext,
  plan: BootPlan,
  boots: Boots = realBoots,
): Promise<BootResults> {
  const done = new Map<string, Row>();
  let cleanBoot: CleanBoot | undefined;
  const record = (row: Row): void => {
    done.set(row.id, row);
    context.onRow(row);
  };
  const recording = { ...context, onRow: record };
  const at = (...stages: readonly Stage[]): readonly AttackRow[] =>
    plan.rows.filter(({ stage }) => stages.includes(stage));

  /** Runs one boot; the rows it owed and did not make are untestable, with the console's last words. */
  const boot = async (owed: readonly AttackRow[], run: () => Promise<void>): Promise<void> => {
    throwIfAborted(context);
    try {
      await run();
    } catch (error) {
      throwIfAborted(context);
      for (const row of owed)
        if (!done.has(row.id)) record(untestable(row, reasonOf(error), lastWords(error)));
    }
  };

  const enforcing = async (controls: Controls): Promise<void> => {
    const reboot = at('reboot');
    const owed = [...at('intruder', 'last'), ...reboot];
    if (owed.length === 0) return;
    await boot(owed, async () => {
      const overlay = reboot.length > 0 ? join(context.folder, 'persistent.qcow2') : undefined;
      const planted = await boots.main(
        { ...recording, controls },
        {
          rows: plan.rows,
          ...(overlay !== undefined && { overlay }),
          onState: (text) => (cleanBoot = parseCleanBoot(text)),
        },
      );
      if (overlay !== undefined && planted !== undefined) {
        await boots.reboot(recording, { rows: plan.rows, overlay, planted });
      }
    });
  };
  const refusing = async (): Promise<void> => {
    const refused = at('firmware', 'hypervisor');
    if (refused.length > 0) await boot(refused, () => boots.refusals(recording, refused));
    for (const row of at('offline')) {
      await boot([row], async () => record(await boots.offline(recording, row)));
    }
  };
  const control = (name: keyof Controls): Promise<Observations> =>
    plan.full
      ? controlBoot(recording, { name, rows: plan.rows, make: boots[name] })
      : Promise.resolve(new Map());
  await inTwoLanes(plan.lanes, {
    ahead: () => control('unlocked'),
    first: async (unlocked) => {
      const unprotected = await control('unprotected');
      await enforcing({ unprotected, unlocked: await unlocked });
    },
    second: refusing,
  });
  const checks = plan.rows.map(
    (row) => done.get(row.id) ?? untestable(row, 'no boot of this proof tried it'),
  );
  return { checks, ...(cleanBoot !== undefined && { cleanBoot }) };
}

interface TwoLanes<T> {
  /** Begins the second lane; the first one needs its result at some time. */
  readonly ahead: () => Promise<T>;
  readonly first: (ahead: Promise<T>) => Promise<void>;
  readonly second: () => Promise<void>;
}

/** Waits for all, so that no machine is left behind, then throws what the first one threw. */
async function inTwoLanes<T>(lanes: 1 | 2, { ahead, first, second }: TwoLanes<T>): Promise<void> {
  const begun = ahead();
  // Whoever waits for it hears of a failure.
  begun.catch(() => undefined);
  if (lanes === 1) {
    await begun;
    await first(begun);
    await second();
    return;
  }
  const results = await Promise.allSettled([first(begun), begun.then(() => second())]);
  const failed = results.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

const controlAttacks: Readonly<Record<keyof Controls, readonly string[]>> = {
  unprotected: unprotectedAttacks,
  unlocked: unlockedAttacks,
};

interface WantedControls {
  readonly name: keyof Controls;
  readonly rows: readonly AttackRow[];
  readonly make: Boots[keyof Controls];
}

async function controlBoot(
  context: ProofContext,
  { name, rows, make }: WantedControls,
): Promise<Observations> {
  throwIfAborted(context);
  const chosen = controlAttacks[name].filter((id) => rows.some((row) => row.id === id));
  if (chosen.length === 0) return new Map();
  try {
    return await make(context, chosen);
  } catch (error) {
    throwIfAborted(context);
    const message = `the control boot failed, what rests on it alone cannot be shown: ${reasonOf(error)}`;
    context.sink({ type: 'warning', code: `control-${name}`, message });
    return new Map(chosen.map((id) => [id, notTried(reasonOf(error))]));
  }
}

/** A failed control: what rests on it alone is untestable. */
function notTried(reason: string): Observation {
  const failed = { succeeded: false, detail: `the control boot failed: ${reason}` };
  return { attempts: [], control: failed, kernel: [], seconds: 0 };
}

function throwIfAborted({ signal }: ProofContext): void {
  if (signal?.aborted === true) throw new MachineError('aborted', 'the proof was interrupted');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function lastWords(error: unknown): readonly string[] {
  const lines = error instanceof MachineError ? error.data?.['lastLines'] : undefined;
  return Array.isArray(lines) ? lines.map((line) => `console: ${String(line)}`) : [];
}
