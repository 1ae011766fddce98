/** A verifier killed again and again under load: what was acknowledged must be there, and no nonce may count twice. */

import { join } from 'node:path';
import { verifyChain } from '@osguard/attest/client';
import { openStore } from '@osguard/attest/service';
import type { Store } from '@osguard/attest/service';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench } from '../measure.ts';
import { diskFolder, startVerifierProcess } from './_fleet.ts';
import { evidenceMaker, openLine } from './_load.ts';
import type { EvidenceMaker, Line } from './_load.ts';
import { nodeId, readPlan } from './_plan.ts';

const nodes = 16;

interface Acknowledged {
  readonly nonce: string;
  readonly evidence: ReturnType<EvidenceMaker>;
}

interface Faults {
  lost: number;
  twice: number;
}

async function killOften(bench: Bench): Promise<Measurement> {
  using folder = diskFolder();
  const plan = readPlan(folder.path);
  const make = evidenceMaker(plan);
  const times = bench.singly ? 2 : 100;
  const faults: Faults = { lost: 0, twice: 0 };
  const acknowledged: Acknowledged[] = [];
  for (let round = 0; round < times; round += 1) {
    await using verifier = await startVerifierProcess(bench, { folder: folder.path, nodes });
    const open = async (): Promise<Line> => openLine({ port: verifier.port, ca: verifier.ca, plan });
    faults.twice += await replay(await open(), acknowledged.slice(-nodes));
    const lines = await Promise.all(Array.from({ length: nodes }, open));
    const before = acknowledged.length;
    const work = lines.map(async (line, index) => proveOn(line, { node: nodeId(index), make, acknowledged }));
    while (acknowledged.length < before + 20) await pause(2);
    await pause(Math.random() * 100);
    await verifier.kill();
    await Promise.all(work);
    if (round % 10 === 9)
      process.stderr.write(`  killed ${round + 1} times, ${acknowledged.length} acknowledged\n`);
  }
  const store = await openStore(join(folder.path, 'state', 'verifier.db'));
  try {
    await compare(store, acknowledged, faults);
  } finally {
    await store.close();
  }
  return {
    value: faults.lost + faults.twice,
    notes: { ...faults, times, acknowledged: acknowledged.length },
  };
}

interface Proving {
  readonly node: string;
  readonly make: EvidenceMaker;
  readonly acknowledged: Acknowledged[];
}

async function proveOn(line: Line, { node, make, acknowledged }: Proving): Promise<void> {
  try {
    for (;;) {
      const { body } = await line.send('POST', '/v1/nonces', `{"node":"${node}","purpose":"evidence"}`);
      const { nonce = '' }: { nonce?: string } = JSON.parse(body);
      const evidence = make(node, nonce);
      const answer = await line.send('POST', '/v1/evidence', evidence);
      if (!answer.body.includes('"verdict":"trusted"')) throw new Error(answer.body);
      acknowledged.push({ nonce, evidence });
    }
  } catch (error) {
    // Killed: what was under way is not acknowledged. Anything else is a fault of the measurement.
    if (!(error instanceof Error) || !/connection ended|ECONN|EPIPE/.test(error.message)) throw error;
  }
}

/** How many of them were accepted again. */
async function replay(line: Line, acknowledged: readonly Acknowledged[]): Promise<number> {
  let twice = 0;
  for (const { evidence } of acknowledged) {
    const { body } = await line.send('POST', '/v1/evidence', evidence);
    if (!body.includes('"nonce-refused"')) twice += 1;
  }
  line.close();
  return twice;
}

async function compare(store: Store, acknowledged: readonly Acknowledged[], faults: Faults): Promise<void> {
  const seen = new Set<string>();
  async function* read(): AsyncGenerator<{
    readonly seq: number;
    readonly hash: string;
    readonly body: string;
  }> {
    for (let after = 0; ;) {
      const page = await store.decisions.list({ after, limit: 5000 });
      for (const decision of page) {
        const { kind, data }: { kind: string; data: { nonce?: string } } = JSON.parse(decision.body);
        if (kind.startsWith('evidence.') && data.nonce !== undefined) {
          if (seen.has(data.nonce)) faults.twice += 1;
          seen.add(data.nonce);
        }
        yield decision;
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.seq;
    }
  }
  const report = await verifyChain(read(), { head: await store.decisions.head() });
  if (!report.ok) throw new Error(`the chain is broken: ${JSON.stringify(report.checks)}`);
  for (const { nonce } of acknowledged) if (!seen.has(nonce)) faults.lost += 1;
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'attest-kill',
    title: 'verdicts lost or nonces accepted twice when the verifier is killed under load',
    unit: 'faults',
    target: { atMost: 0 },
    measure: killOften,
  }),
];
