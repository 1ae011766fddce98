/** Builds of the container host with warm caches, against mkosi with the same packages on the same file system. */

import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench, Command, Sample } from '../measure.ts';
import { forgetTrees, openLab } from './_lab.ts';
import type { Peer } from './_mkosi.ts';
import { openPeer } from './_mkosi.ts';

interface Race {
  readonly ours: Command;
  readonly peer: (peer: Peer) => Command;
  readonly rounds: number;
  readonly warmUps?: 0 | 1;
}

/** Where there is no peer, ours alone: the number is shown, and nobody can say whether it is good enough. */
async function race(
  bench: Bench,
  { ours, peer: commandOf, rounds, warmUps = 1 }: Race,
): Promise<Measurement> {
  const peer = await openPeer(bench);
  if ('missing' in peer) {
    const sample = await bench.median(ours, rounds);
    return { value: sample.seconds, notes: { ...numbers('', sample), 'no-peer': peer.missing } };
  }
  const samples = await bench.pairs({ ours, peer: commandOf(peer), rounds, warmUps });
  return {
    value: samples.ours.seconds,
    peer: peer.name,
    peerValue: samples.peer.seconds,
    notes: {
      ...numbers('', samples.ours),
      ...numbers('peer-', samples.peer),
      pairs: bench.singly ? 1 : rounds,
    },
  };
}

function numbers(prefix: string, { cpuSeconds, largestBytes }: Sample): Record<string, string> {
  return {
    [`${prefix}cpu`]: `${cpuSeconds.toFixed(0)} s`,
    [`${prefix}memory`]: `${Math.round(largestBytes / 2 ** 20)} MiB`,
  };
}

async function warm(bench: Bench): Promise<Measurement> {
  const lab = openLab(bench);
  const build = lab.build(lab.define('warm'), `${lab.folder}/warm`);
  return race(bench, {
    ours: {
      ...build,
      prepare() {
        build.prepare();
        forgetTrees(lab);
      },
      memory: true,
    },
    peer(peer) {
      peer.configure({});
      return { ...peer.build(), memory: true };
    },
    rounds: 2,
  });
}

async function addPackage(bench: Bench): Promise<Measurement> {
  const lab = openLab(bench);
  const packages = ['htop'];
  const build = lab.build(lab.define('package', { packages }), `${lab.folder}/package`);
  return race(bench, {
    ours: {
      ...build,
      prepare() {
        // Fills what the build without the package leaves behind.
        lab.release();
        build.prepare();
        forgetTrees(lab, 'extra');
      },
      memory: true,
    },
    peer(peer) {
      peer.configure({ packages });
      // A changed list of packages is a new image to mkosi: what Incremental=yes has kept does not fit any more.
      return { ...peer.build(), memory: true };
    },
    // Everything is warm from the builds before.
    warmUps: 0,
    rounds: 2,
  });
}

async function changeFile(bench: Bench): Promise<Measurement> {
  const lab = openLab(bench);
  const out = `${lab.folder}/file`;
  let round = 0;
  const definition = lab.define('file', { text: 'before' });
  const build = lab.build(definition, out);
  return race(bench, {
    ours: {
      ...build,
      prepare() {
        lab.release();
        build.prepare();
        round += 1;
        lab.define('file', { text: `version ${round}\n` });
      },
      memory: true,
    },
    peer(peer) {
      // The pair that does not count fills mkosi's cache.
      peer.forget();
      let turn = 0;
      return {
        ...peer.build({ incremental: true }),
        prepare() {
          turn += 1;
          peer.configure({ text: `version ${turn}\n` });
        },
        memory: true,
      };
    },
    rounds: 3,
  });
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'build-warm',
    title: 'build of the container host with its packages in the cache',
    unit: 's',
    target: { ratio: 0.9 },
    measure: warm,
  }),
  defineFigure({
    id: 'rebuild-package',
    title: 'build after one package was added',
    unit: 's',
    target: { ratio: 0.6 },
    measure: addPackage,
  }),
  defineFigure({
    id: 'rebuild-file',
    title: 'build after one file of the definition was changed, peer with Incremental=yes',
    unit: 's',
    target: { ratio: 0.4 },
    measure: changeFile,
  }),
];
