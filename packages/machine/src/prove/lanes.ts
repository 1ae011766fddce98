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
import type { Attempt, Observation, Row } from './row.ts';
import { judgeRow, untestable } from './row.ts';
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

  /**
   * Makes one boot, and once more for the rows that are missing when the machine died: under TCG on a busy computer the
   * guest's clock may stumble. What is missing then is untestable, with the console's last words.
   */
  const boot = async (
    owed: readonly AttackRow[],
    run: (left: readonly AttackRow[]) => Promise<void>,
  ): Promise<void> => {
    const left = (): readonly AttackRow[] => owed.filter(({ id }) => !done.has(id));
    for (const again of [true, false]) {
      throwIfAborted(context);
      if (left().length === 0) return;
      try {
        await run(left());
        return;
      } catch (error) {
        throwIfAborted(context);
        if (again && error instanceof MachineError) {
          const message = `a boot failed and is made again: ${reasonOf(error)}`;
          context.sink({ type: 'warning', code: 'boot-again', message });
          continue;
        }
        for (const row of left()) record(untestable(row, reasonOf(error), lastWords(error)));
      }
    }
  };

  const inside = at('intruder', 'container', 'reboot', 'last');
  const hostBoots = Promise.withResolvers<boolean>();
  const enforcing = async (controls: Controls): Promise<void> => {
    try {
      await boot(inside, async (left) => {
        const persistent = left.some(({ stage }) => stage === 'reboot');
        const overlay = persistent ? join(context.folder, `persistent-${left.length}.qcow2`) : undefined;
        const planted = await boots.main(
          { ...recording, controls },
          {
            rows: left,
            ...(overlay !== undefined && { overlay }),
            onState: (text) => {
              cleanBoot ??= parseCleanBoot(text);
              hostBoots.resolve(true);
            },
          },
        );
        if (overlay === undefined || planted === undefined) return;
        await boots.reboot(recording, { rows: left, overlay, planted });
      });
    } finally {
      hostBoots.resolve(false);
    }
  };
  /** That the unchanged disk boots is seen in the main boot, where there is one. */
  const unchangedDisk = async (): Promise<Attempt | null> => {
    if (inside.length === 0) return null;
    const succeeded = await hostBoots.promise;
    return { succeeded, detail: `the unchanged disk ${succeeded ? 'boots' : 'does not boot either'}` };
  };
  const refusing = async (): Promise<void> => {
    await boot(at('firmware', 'hypervisor'), (left) => boots.refusals(recording, left));
    for (const row of at('offline')) {
      await boot([row], async () => {
        const seen = await boots.offline(recording, row);
        record(judgeRow(row, { ...seen, control: await unchangedDisk() }));
      });
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
  const failures: string[] = [];
  for (const _ of [1, 2]) {
    try {
      return await make(context, chosen);
    } catch (error) {
      throwIfAborted(context);
      failures.push(reasonOf(error));
    }
  }
  const reason = failures.join('; again: ');
  const message = `the control boot failed, what rests on it alone cannot be shown: ${reason}`;
  context.sink({ type: 'warning', code: `control-${name}`, message });
  return new Map(chosen.map((id) => [id, notTried(reason)]));
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
