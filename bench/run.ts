/** `npm run bench [-- GROUP… | FIGURE…] [--json] [--once]`: see bench/README.md. */

import { globSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Figure, Measurement, Target } from './figure.ts';
import { NotHere } from './not-here.ts';
import type { Bench } from './measure.ts';
import { createBench } from './measure.ts';

interface Result {
  readonly id: string;
  readonly title: string;
  readonly value: number | null;
  readonly unit: string;
  readonly peer: string | null;
  readonly peerValue: number | null;
  /** Ours divided by the peer's. */
  readonly ratio: number | null;
  readonly target: string | null;
  /** Null when there is no target, or no peer to tell. A figure that could not be measured has not met its target. */
  readonly met: boolean | null;
  readonly notes: Readonly<Record<string, number | string>>;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

function targetText(target: Target, unit: string): string {
  if ('ratio' in target) return `<= ${target.ratio} x peer`;
  return 'atMost' in target ? `<= ${target.atMost} ${unit}` : `>= ${target.atLeast} ${unit}`;
}

function isMet(target: Target, { value, peerValue }: Measurement): boolean | null {
  if ('ratio' in target) return peerValue === undefined ? null : value / peerValue <= target.ratio;
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast;
}

async function measure(figure: Figure, bench: Bench): Promise<Result> {
  const { id, title, unit, target } = figure;
  const asked = { id, title, unit, target: target === undefined ? null : targetText(target, unit) };
  try {
    const measurement = await figure.measure(bench);
    const { value, peer, peerValue, notes = {} } = measurement;
    return {
      ...asked,
      value: round(value),
      peer: peer ?? null,
      peerValue: peerValue === undefined ? null : round(peerValue),
      ratio: peerValue === undefined ? null : round(value / peerValue),
      met: target === undefined ? null : isMet(target, measurement),
      notes: { ...notes, load: round(loadavg()[0] ?? 0) },
    };
  } catch (error) {
    // One that breaks is no reason to lose the others.
    const why = error instanceof NotHere ? { missing: error.message } : { failed: reasonOf(error) };
    const nothing = { value: null, peer: null, peerValue: null, ratio: null };
    return {
      ...asked,
      ...nothing,
      met: target === undefined ? null : false,
      notes: why,
    };
  }
}

function reasonOf(error: unknown): string {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}

function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${availableParallelism()} x ${cpus()[0]?.model.trim() ?? 'unknown'}, ${memory} GiB, node ${process.version}`;
}

function cell(value: number | null, unit: string): string {
  return value === null ? '-' : `${value} ${unit}`;
}

function line(result: Result): string {
  const { id, value, unit, peer, peerValue, ratio, target, met, notes } = result;
  const columns = [
    id.padEnd(24),
    cell(value, unit).padEnd(14),
    (peer === null ? '-' : `${peer}: ${cell(peerValue, unit)}`).padEnd(32),
    (ratio === null ? '-' : ratio.toFixed(2)).padEnd(7),
    (target ?? '-').padEnd(18),
    target === null ? '' : met === null ? 'unknown' : met ? 'met' : 'NOT MET',
    Object.entries(notes)
      .map(([name, note]) => `${name}=${note}`)
      .join(' '),
  ];
  return columns.join(' ').trimEnd();
}

const root = join(import.meta.dirname, '..');
const words = process.argv.slice(2);
const json = words.includes('--json');
const once = words.includes('--once');
const wanted = words.filter((word) => word !== '--json' && word !== '--once');
const files = globSync('*/*.ts', { cwd: import.meta.dirname }).sort();
const found: { group: string; figure: Figure }[] = [];
for (const file of files) {
  // A file whose name starts with `_` is what a figure starts, not a figure.
  if (basename(file).startsWith('_')) continue;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the convention of bench/README.md
  const loaded = (await import(join(import.meta.dirname, file))) as { figures?: readonly Figure[] };
  for (const figure of loaded.figures ?? []) found.push({ group: dirname(file), figure });
}
const chosen = found.filter(
  ({ group, figure }) => wanted.length === 0 || wanted.includes(group) || wanted.includes(figure.id),
);
const known = new Set(found.flatMap(({ group, figure }) => [group, figure.id]));
const unknown = wanted.filter((word) => !known.has(word));
if (unknown.length > 0) {
  process.stderr.write(`unknown: ${unknown.join(' ')}; there are ${[...known].join(' ')}\n`);
  process.exit(2);
}

const results: Result[] = [];
using bench = createBench(root, { once });
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    bench[Symbol.dispose]();
    process.exit(1);
  });
}
if (!json) process.stdout.write(`${machine()}\n`);
for (const { figure } of chosen) {
  const result = await measure(figure, bench);
  results.push(result);
  if (!json) process.stdout.write(`${line(result)}\n`);
}
process.exitCode = results.some(({ notes }) => 'failed' in notes) ? 1 : 0;
if (json) process.stdout.write(`${JSON.stringify({ machine: machine(), figures: results }, null, 2)}\n`);
