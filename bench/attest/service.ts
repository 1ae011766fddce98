/** The verifier as a service: how much it takes in durably, and how it does with many nodes. */

import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { openOperatorClient } from '@osguard/attest/client';
import { nodesAnswerSchema, paths, releaseAnswerSchema, verdictAnswerSchema } from '@osguard/attest/protocol';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench } from '../measure.ts';
import { diskFolder, loadVerifier, startVerifierProcess } from './_fleet.ts';
import type { LoadReport } from './_load-run.ts';
import { nodeId } from './_plan.ts';

/** So many that every commit is shared, and few enough that nobody waits long. */
const lines = 64;

async function takeLoad(bench: Bench): Promise<{ readonly report: LoadReport; readonly resident: number }> {
  using folder = diskFolder();
  const nodes = bench.singly ? 100 : 2000;
  await using verifier = await startVerifierProcess(bench, { folder: folder.path, nodes });
  const times = bench.singly ? { seconds: 1, warmUp: 0 } : { seconds: 20, warmUp: 8 };
  const report = await loadVerifier(bench, verifier, { folder: folder.path, nodes, lines, ...times });
  return { report, resident: await verifier.resident() };
}

let load: ReturnType<typeof takeLoad> | undefined;

function round(milliseconds: number): string {
  return `${milliseconds.toFixed(1)} ms`;
}

async function underLoad(bench: Bench, value: (report: LoadReport) => number): Promise<Measurement> {
  load ??= takeLoad(bench);
  const { report, resident } = await load;
  return {
    value: value(report),
    notes: {
      operation: 'evidence answered after it is on disk; each with a nonce asked for before',
      p50: round(report.p50),
      p99: round(report.p99),
      worst: round(report.worst),
      'nonce p99': round(report.nonceP99),
      'at once': lines,
      evidence: `${report.size} bytes`,
      memory: `${resident} MiB`,
      'load cpu': `${((report.cpuSeconds / report.seconds) * 100).toFixed(0)} %`,
    },
  };
}

interface Fleet {
  readonly resident: number;
  readonly pages: readonly number[];
  readonly flip: number;
  readonly nodes: number;
}

/** Every node was trusted for the release, which is then revoked. */
async function manyNodes(bench: Bench): Promise<Fleet> {
  using folder = diskFolder();
  const nodes = bench.singly ? 1000 : 100_000;
  {
    await using verifier = await startVerifierProcess(bench, { folder: folder.path, nodes });
    trustAll(folder.path, verifier.release);
  }
  await using verifier = await startVerifierProcess(bench, { folder: folder.path, nodes });
  const endpoint = { url: `https://127.0.0.1:${verifier.port}`, ca: verifier.ca, token: verifier.token };
  using client = openOperatorClient(endpoint);
  const page = async (query: Readonly<Record<string, string | number | undefined>>) =>
    client.ask({ path: paths.nodes, query: { limit: 100, ...query }, answer: nodesAnswerSchema });
  await loadVerifier(bench, verifier, { folder: folder.path, nodes, lines, seconds: 3, warmUp: 0 });
  const pages: number[] = [];
  let after: string | undefined;
  for (let count = 0; count < 200; count += 1) {
    // In turn: the next page, a page of those that are trusted, and one of those that are not, of which there are few.
    const trust = [undefined, 'trusted', 'expired'][count % 3];
    const started = performance.now();
    const answer = await page({ trust, after: trust === 'expired' ? undefined : after });
    pages.push(performance.now() - started);
    after = answer.next ?? undefined;
  }
  const resident = await verifier.resident();
  const trustedBefore = (await page({ trust: 'trusted', limit: 1 })).nodes.length;
  if (trustedBefore !== 1) throw new Error('no node is trusted to begin with');
  const started = performance.now();
  const path = `${paths.releases}/${verifier.release}/state`;
  await client.ask({ method: 'POST', path, body: { state: 'revoked' }, answer: releaseAnswerSchema });
  const left = (await page({ trust: 'trusted', limit: 1000 })).nodes.length;
  const last = await client.ask({
    path: paths.verdict,
    query: { node: nodeId(nodes - 1) },
    answer: verdictAnswerSchema,
  });
  const flip = (performance.now() - started) / 1000;
  if (left !== 0 || last.trusted) throw new Error('a node of a revoked release is trusted');
  return { resident, pages: pages.toSorted((a, b) => a - b), flip, nodes };
}

/** As if each had just handed in evidence; through the verifier that would take minutes. */
function trustAll(folder: string, release: string): void {
  const database = new DatabaseSync(join(folder, 'state', 'verifier.db'), { timeout: 10_000 });
  const now = Date.now();
  const update = database.prepare(
    `UPDATE nodes SET verdict = 'trusted', at = ?1, expires = ?2, release_id = ?3, checks = '[]', agent = '0.1.0',
      last_seen = '{"clock":"1","resetCount":9,"restartCount":0,"version":"0.1.0"}'`,
  );
  update.run(now, now + 3_600_000, release);
  database.exec("UPDATE nodes SET expires = 1 WHERE id LIKE 'fff%'");
  database.close();
}

let fleet: Promise<Fleet> | undefined;

async function ofFleet(bench: Bench, measure: (fleet: Fleet) => Measurement): Promise<Measurement> {
  fleet ??= manyNodes(bench);
  const found = await fleet;
  const { notes, ...rest } = measure(found);
  return { ...rest, notes: { nodes: found.nodes, ...notes } };
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'attest-service',
    title: 'evidence a verifier accepts durably (SQLite), load on the same cores',
    unit: '/s',
    target: { atLeast: 1200 },
    measure: async (bench) => underLoad(bench, ({ accepted, seconds }) => accepted / seconds),
  }),
  defineFigure({
    id: 'attest-service-p99',
    title: 'the slowest answer to evidence of a hundred, at that rate',
    unit: 'ms',
    target: { atMost: 100 },
    measure: async (bench) => underLoad(bench, ({ p99 }) => p99),
  }),
  defineFigure({
    id: 'attest-nodes-memory',
    title: 'memory of a verifier with 100,000 nodes, after load and listings',
    unit: 'MiB',
    target: { atMost: 400 },
    measure: async (bench) => ofFleet(bench, ({ resident }) => ({ value: resident })),
  }),
  defineFigure({
    id: 'attest-nodes-page',
    title: 'a page of 100 of them, over HTTP: median',
    unit: 'ms',
    target: { atMost: 20 },
    measure: async (bench) =>
      ofFleet(bench, ({ pages }) => ({
        value: pages[Math.floor(pages.length / 2)] ?? Number.NaN,
        notes: { p99: `${pages[Math.floor(pages.length * 0.99)]?.toFixed(1)} ms`, pages: pages.length },
      })),
  }),
  defineFigure({
    id: 'attest-nodes-revoke',
    title: 'from revoking the release all of them run to none being trusted',
    unit: 's',
    target: { atMost: 5 },
    measure: async (bench) => ofFleet(bench, ({ flip }) => ({ value: flip })),
  }),
];
