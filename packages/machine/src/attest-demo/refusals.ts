/** Makes every scenario on one machine with one verifier, and says whether each ended as it must. */

import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { EventSink } from '@osguard/events';
import { step } from '@osguard/events';
import { MachineError } from '../error.ts';
import { judgeBoot } from './judge-boot.ts';
import type { LabOptions } from './lab.ts';
import { Lab } from './lab.ts';
import { replayAnswers, replayEvidence } from './replay.ts';
import type { Scenario, Workshop } from './scenarios.ts';
import { openWorkshop, scenarios } from './scenarios.ts';

export interface RefusalsOptions extends LabOptions {
  readonly sink: EventSink;
  /** Told as soon as each is known. */
  readonly onRow?: (row: RefusalRow) => void;
  /** Ids; all unless given. The first boot as released is made in any case: it enrols the machine. */
  readonly only?: readonly string[];
}

export interface RefusalRow {
  readonly id: string;
  readonly title: string;
  readonly ok: boolean;
  /** What had to happen and what did, for people. */
  readonly expected: string;
  readonly found: string;
  /** What console and verifier said, the most telling first. */
  readonly evidence: readonly string[];
  /** From power-on; 0 when nothing was booted. */
  readonly seconds: number;
}

const replayId = 'evidence-replayed';
const day = 86_400_000;

/** @throws MachineError, ServiceError, KeysError when a scenario cannot be made; one that ends wrong is a row that is not ok */
export async function runRefusals(options: RefusalsOptions): Promise<readonly RefusalRow[]> {
  const { sink, onRow, only, consoles, signal } = options;
  if (consoles !== undefined) mkdirSync(consoles, { recursive: true });
  const secrets = new Map([['join-token', randomBytes(32)]]);
  await using lab = await Lab.open(options, secrets);
  const workshop = await openWorkshop(lab);
  const rows: RefusalRow[] = [];
  const tell = (row: RefusalRow): void => {
    rows.push(row);
    onRow?.(row);
  };
  const [first, ...others] = scenarios;
  const chosen = others.filter(({ id }) => only === undefined || only.includes(id));
  for (const scenario of first === undefined ? chosen : [first, ...chosen]) {
    if (signal?.aborted === true) throw new MachineError('aborted', 'interrupted');
    const { id, title } = scenario;
    tell(await step(sink, { id: `attest-${id}`, title }, () => runScenario(scenario, workshop)));
  }
  if (only === undefined || only.includes(replayId)) tell(await replayed(lab));
  return rows;
}

async function runScenario(scenario: Scenario, workshop: Workshop): Promise<RefusalRow> {
  const { lab, variables } = workshop;
  const { id, title, expect, repair } = scenario;
  const disks = [lab.options.release.file('disk.raw')];
  try {
    const request = { disks, variables, ...(await scenario.prepare(workshop)) };
    const seen = await lab.boot(id, request);
    return { id, title, ...judgeBoot(seen, expect), seconds: seen.outcome.seconds };
  } finally {
    await repair?.(workshop);
  }
}

/** The evidence of the first boot, a day later by the verifier's clock. */
async function replayed(lab: Lab): Promise<RefusalRow> {
  const title = 'the evidence of the first boot, handed in again a day later';
  const [good] = lab.evidence;
  if (good === undefined) throw new MachineError('control-failed', 'no evidence reached the verifier');
  lab.advance(day);
  const after = await lab.lastDecision();
  const answers = await replayEvidence(lab.verifier, good);
  const decisions = await lab.decisions(after);
  const given = decisions.filter(({ kind }) => kind === 'secret.released');
  const wrong = answers.filter(({ id, answer }) => answer !== replayAnswers[id]);
  return {
    id: replayId,
    title,
    ok: wrong.length === 0 && given.length === 0,
    expected: Object.values(replayAnswers).join(', '),
    found: answers.map(({ answer }) => answer).join(', '),
    evidence: answers.map(({ what, answer }) => `${what}: ${answer}`),
    seconds: 0,
  };
}
