/** Which boots a proof makes, in which order, and how their rows come together. */

import { join } from 'node:path';
import { MachineError } from '../error.ts';
import type { CleanBoot } from './clean-boot.ts';
import { parseCleanBoot } from './clean-boot.ts';
import type { Controls, ProofContext } from './context.ts';
import type { Observations } from './control-boots.ts';
import { unlockedAttacks, unlockedBoot, unprotectedAttacks, unprotectedBoot } from './control-boots.ts';
import { hypervisorArgumentsBoot } from './hypervisor-boot.ts';
import { mainBoot } from './main-boot.ts';
import { offlineBoot } from './offline-boots.ts';
import { rebootBoot } from './reboot-boot.ts';
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

/** A boot that fails makes its rows untestable and nothing else. @throws MachineError (`aborted`) */
export async function runBoots(context: ProofContext, plan: BootPlan): Promise<BootResults> {
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
    const owed = [...at('firmware', 'intruder', 'last'), ...reboot];
    if (owed.length === 0) return;
    await boot(owed, async () => {
      const overlay = reboot.length > 0 ? join(context.folder, 'persistent.qcow2') : undefined;
      const planted = await mainBoot(
        { ...recording, controls },
        {
          rows: plan.rows,
          ...(overlay !== undefined && { overlay }),
          onState: (text) => (cleanBoot = parseCleanBoot(text)),
        },
      );
      if (overlay !== undefined && planted !== undefined) {
        await rebootBoot(recording, { rows: plan.rows, overlay, planted });
      }
    });
  };
  const refusing = async (): Promise<void> => {
    for (const row of at('hypervisor')) {
      await boot([row], async () => record(await hypervisorArgumentsBoot(recording, row)));
    }
    for (const row of at('offline')) {
      await boot([row], async () => record(await offlineBoot(recording, row)));
    }
  };
  const controls = plan.full ? await controlBoots(recording, plan) : context.controls;
  await inLanes(plan.lanes, [() => enforcing(controls), refusing]);
  const checks = plan.rows.map(
    (row) => done.get(row.id) ?? untestable(row, 'no boot of this proof tried it'),
  );
  return { checks, ...(cleanBoot !== undefined && { cleanBoot }) };
}

async function controlBoots(context: ProofContext, { rows, lanes }: BootPlan): Promise<Controls> {
  const wanted = new Set(rows.filter(({ stage }) => stage === 'intruder').map(({ id }) => id));
  const controls = new Map<string, Observations>();
  const boot =
    (name: keyof Controls, make: typeof unprotectedBoot, attacks: readonly string[]) =>
    async (): Promise<void> => {
      throwIfAborted(context);
      const chosen = attacks.filter((id) => wanted.has(id));
      try {
        controls.set(name, chosen.length === 0 ? new Map() : await make(context, chosen));
      } catch (error) {
        throwIfAborted(context);
        const message = `the control boot failed, what rests on it alone cannot be shown: ${reasonOf(error)}`;
        context.sink({ type: 'warning', id: `control-${name}`, message });
        controls.set(name, new Map(chosen.map((id) => [id, notTried(reasonOf(error))])));
      }
    };
  await inLanes(lanes, [
    boot('unprotected', unprotectedBoot, unprotectedAttacks),
    boot('unlocked', unlockedBoot, unlockedAttacks),
  ]);
  const none: Observations = new Map();
  return { unprotected: controls.get('unprotected') ?? none, unlocked: controls.get('unlocked') ?? none };
}

/** A failed control: what rests on it alone is untestable. */
function notTried(reason: string): Observation {
  const failed = { succeeded: false, detail: `the control boot failed: ${reason}` };
  return { attempts: [], control: failed, kernel: [], seconds: 0 };
}

/** Waits for all, so that no machine is left behind, then throws what the first one threw. */
async function inLanes(lanes: 1 | 2, work: readonly (() => Promise<void>)[]): Promise<void> {
  if (lanes === 1) {
    for (const run of work) await run();
    return;
  }
  const results = await Promise.allSettled(work.map((run) => run()));
  const failed = results.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

function throwIfAborted({ signal }: ProofContext): void {
  if (signal?.aborted === true) throw new MachineError('aborted', 'the proof was interrupted');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function lastWords(error: unknown): readonly string[] {
  const lines = error instanceof MachineError ? error.data['lastLines'] : undefined;
  return Array.isArray(lines) ? lines.map((line) => `console: ${String(line)}`) : [];
}
