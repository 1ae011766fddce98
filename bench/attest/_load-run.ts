/**
 * Load on a verifier for some seconds, from a process of its own:
 * `fork('_load-run.ts', [FOLDER, PORT, CA, NODES, LINES, SECONDS])`; tells what it saw by message.
 */

import { evidenceMaker, openLine } from './_load.ts';
import { nodeId, readPlan } from './_plan.ts';

export interface LoadReport {
  readonly accepted: number;
  readonly seconds: number;
  /** Milliseconds, of evidence requests: handed in to answered. */
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  /** Milliseconds, of nonce requests. */
  readonly nonceP99: number;
  /** Processor time of this process, seconds. */
  readonly cpuSeconds: number;
  /** Bytes of one piece of evidence. */
  readonly size: number;
}

const [folder = '', port = '0', ca = '', nodes = '1', lines = '1', seconds = '1', warmUp = '2'] =
  process.argv.slice(2);
const plan = readPlan(folder);
const make = evidenceMaker(plan);
const ids = Array.from({ length: Number(nodes) }, (_, index) => nodeId(index));
const took: number[] = [];
const nonceTook: number[] = [];
let counting = false;
const end = new AbortController();
let next = 0;
let size = 0;

async function machine(): Promise<void> {
  const line = await openLine({ port: Number(port), ca, plan });
  while (!end.signal.aborted) {
    const node = ids[next % ids.length] ?? '';
    next += 1;
    const asked = performance.now();
    const first = await line.send('POST', '/v1/nonces', `{"node":"${node}","purpose":"evidence"}`);
    const { nonce }: { nonce?: string } = JSON.parse(first.body);
    if (nonce === undefined) throw new Error(first.body);
    const evidence = make(node, nonce);
    size = evidence.reduce((sum, { length }) => sum + length, 0);
    const handed = performance.now();
    const answer = await line.send('POST', '/v1/evidence', evidence);
    const done = performance.now();
    if (!answer.body.includes('"verdict":"trusted"')) throw new Error(answer.body.slice(0, 1000));
    if (!counting) continue;
    took.push(done - handed);
    nonceTook.push(handed - asked);
  }
  line.close();
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const pause = async (duration: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, duration * 1000));
const machines = Promise.all(Array.from({ length: Number(lines) }, machine));
machines.catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
await pause(Number(warmUp));
counting = true;
const cpu = process.cpuUsage();
const started = performance.now();
await pause(Number(seconds));
counting = false;
const elapsed = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
end.abort();
await machines;
const sorted = took.toSorted((a, b) => a - b);
process.send?.({
  accepted: took.length,
  seconds: elapsed,
  p50: percentile(sorted, 0.5),
  p99: percentile(sorted, 0.99),
  worst: sorted.at(-1) ?? Number.NaN,
  nonceP99: percentile(
    nonceTook.toSorted((a, b) => a - b),
    0.99,
  ),
  cpuSeconds: (user + system) / 1e6,
  size,
} satisfies LoadReport);
process.disconnect();
