/** Containers from verified layers beside containers from unpacked ones, in one booted host: how they start and read. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, defaultCacheFolder } from '@osguard/image';
import { initKeys, loadKeyring } from '@osguard/keys';
import { openTools } from '@osguard/machine';
import type { ReadFiles, Snapshotter } from '@osguard/machine/bench';
import { PairHost, snapshotters, writePairImage } from '@osguard/machine/bench';
import { buildNodeExecutable } from '@osguard/node';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench } from '../measure.ts';
import { layerEntries } from './_layer-entries.ts';
import { writePairDefinition } from './_pair-definition.ts';

/** What fits into a few minutes of an emulated processor. */
const image = { megabytes: 64, files: 2000, layers: 6 };
const starts = 9;
const reads = 3;
/** What a start leaves to be done afterwards is done before the next. Milliseconds. */
const pause = 700;
const peer = 'overlayfs snapshotter on ext4';

type Pair<T> = Readonly<Record<Snapshotter, readonly T[]>>;

interface Seen {
  /** Seconds. */
  readonly starts: Pair<number>;
  readonly cold: Pair<ReadFiles>;
  readonly warm: Pair<ReadFiles>;
}

const sink = (): void => undefined;

let seen: Promise<Seen> | undefined;

/** One boot for all figures. */
function look(bench: Bench): Promise<Seen> {
  seen ??= boot(bench);
  return seen;
}

async function boot(bench: Bench): Promise<Seen> {
  const folder = mkdtempSync(join(tmpdir(), 'osguard-bench-containers-'));
  const file = (name: string): string => join(folder, name);
  try {
    await initKeys(file('keys'));
    const keyring = await loadKeyring(file('keys'));
    const cacheFolder = defaultCacheFolder();
    process.stderr.write('building a release for both snapshotters\n');
    const { release } = await buildImage({
      definition: writePairDefinition(bench.root, file('definition')),
      keyring,
      output: file('release'),
      cacheFolder,
      nodeProgram: () => buildNodeExecutable({ cacheFolder }),
      sink,
    });
    const files = [...layerEntries(image.megabytes * 1e6, image.files)].flatMap((entry) =>
      entry.body === undefined ? [] : [{ path: entry.path, body: entry.body.read(0, entry.body.size) }],
    );
    const made = await writePairImage({ files, layers: image.layers, keyring, folder: file('image') });
    const tools = await openTools({ sets: ['run', 'intruder'] });
    process.stderr.write('booting it\n');
    await using host = await PairHost.start({
      release,
      keyring,
      tools,
      folder: file('boot'),
      image: made,
      sink,
    });
    const once = bench.singly ? 1 : undefined;
    const start = async (side: Snapshotter): Promise<number> => {
      await sleep(pause);
      return host.start(side);
    };
    await inTurn(1, start);
    const started = await inTurn(once ?? starts, start);
    const roots = await inTurn(1, (side) => host.keep(side));
    const read = (side: Snapshotter, temperature: 'cold' | 'warm'): Promise<ReadFiles> =>
      host.read(roots[side][0] ?? '', temperature);
    const cold = await inTurn(once ?? reads, (side) => read(side, 'cold'));
    await inTurn(1, (side) => read(side, 'warm'));
    const warm = await inTurn(once ?? reads, (side) => read(side, 'warm'));
    return { starts: started, cold, warm };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A B A B … */
async function inTurn<T>(rounds: number, measure: (side: Snapshotter) => Promise<T>): Promise<Pair<T>> {
  const results: Record<Snapshotter, T[]> = { osguard: [], overlayfs: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const side of snapshotters) results[side].push(await measure(side));
  }
  return results;
}

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return ((sorted[(sorted.length - 1) >> 1] ?? Number.NaN) + (sorted[half] ?? Number.NaN)) / 2;
}

function range(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)} s`;
}

async function measureStart(bench: Bench): Promise<Measurement> {
  const { starts: both } = await look(bench);
  return {
    value: middle(both.osguard),
    peer,
    peerValue: middle(both.overlayfs),
    notes: {
      layers: image.layers,
      starts: both.osguard.length,
      range: range(both.osguard),
      'peer-range': range(both.overlayfs),
    },
  };
}

async function measureRead(bench: Bench, temperature: 'cold' | 'warm'): Promise<Measurement> {
  const { [temperature]: both } = await look(bench);
  const seconds = (side: Snapshotter): readonly number[] => both[side].map((one) => one.seconds);
  const [first, other] = [both.osguard[0], both.overlayfs[0]];
  if (first === undefined || first.files !== other?.files || first.bytes !== other.bytes)
    throw new Error(`the two containers hold different files: ${JSON.stringify([first, other])}`);
  return {
    value: middle(seconds('osguard')),
    peer,
    peerValue: middle(seconds('overlayfs')),
    notes: {
      files: first.files,
      megabytes: (first.bytes / 1e6).toFixed(1),
      range: range(seconds('osguard')),
      'peer-range': range(seconds('overlayfs')),
    },
  };
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'layer-start',
    title: 'a container from verified layers, from `ctr run` to its end',
    unit: 's',
    target: { ratio: 1.1 },
    measure: measureStart,
  }),
  defineFigure({
    id: 'layer-read',
    title: 'all files of a container read, nothing of them in memory',
    unit: 's',
    target: { ratio: 1.25 },
    measure: (bench) => measureRead(bench, 'cold'),
  }),
  defineFigure({
    id: 'layer-read-again',
    title: 'all files of a container read, all of them in memory',
    unit: 's',
    target: { ratio: 1.25 },
    measure: (bench) => measureRead(bench, 'warm'),
  }),
];
