/** dm-verity against veritysetup: 1 GiB of random bytes, 4 KiB blocks, sha256, 32 bytes of salt. */

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench, Sample } from '../measure.ts';

const size = 1024 * 1024 * 1024;
const salt = 'aa'.repeat(32);
const uuid = 'a60c98d2-ae9b-4865-bfcb-b4e3ace11033';
const driver = join(import.meta.dirname, '_verity-run.ts');

interface Inputs {
  readonly tool: string;
  readonly data: string;
  readonly ours: string;
  readonly theirs: string;
}

let inputs: Inputs | undefined;

/** Made once for both figures. */
function prepared(bench: Bench): Inputs {
  if (inputs !== undefined) return inputs;
  const tool = bench.tool('veritysetup');
  const folder = bench.scratch(size);
  const data = join(folder, 'data');
  const fd = openSync(data, 'w');
  for (let at = 0; at < size; at += 2 ** 24) writeSync(fd, randomBytes(2 ** 24));
  closeSync(fd);
  inputs = { tool, data, ours: join(folder, 'ours'), theirs: join(folder, 'theirs') };
  return inputs;
}

function version(tool: string): string {
  return execFileSync(tool, ['--version'], { encoding: 'utf8' }).split(' ').slice(0, 2).join(' ');
}

function result(tool: string, { ours, peer }: { readonly ours: Sample; readonly peer: Sample }): Measurement {
  const cpu = { cpu: `${ours.cpuSeconds.toFixed(2)} s`, 'peer-cpu': `${peer.cpuSeconds.toFixed(2)} s` };
  return { value: ours.seconds, peer: version(tool), peerValue: peer.seconds, notes: cpu };
}

async function format(bench: Bench): Promise<Measurement> {
  const { tool, data, ours, theirs } = prepared(bench);
  const samples = await bench.pairs({
    ours: {
      argv: [bench.node, driver, 'format', data, ours, salt, uuid],
      env: bench.nodeEnv,
      prepare: () => rmSync(ours, { force: true }),
    },
    peer: {
      argv: [tool, 'format', data, theirs, `--salt=${salt}`, `--uuid=${uuid}`],
      prepare: () => rmSync(theirs, { force: true }),
    },
  });
  if (!readFileSync(ours).equals(readFileSync(theirs))) throw new Error('the two trees differ');
  return result(tool, samples);
}

async function verify(bench: Bench): Promise<Measurement> {
  const { tool, data, theirs } = prepared(bench);
  rmSync(theirs, { force: true });
  const said = execFileSync(tool, ['format', data, theirs, `--salt=${salt}`, `--uuid=${uuid}`], {
    encoding: 'utf8',
  });
  const rootHash = /Root hash:\s+(\S+)/.exec(said)?.[1] ?? '';
  const ours = { argv: [bench.node, driver, 'verify', data, theirs, rootHash], env: bench.nodeEnv } as const;
  const peer = { argv: [tool, 'verify', data, theirs, rootHash] } as const;
  return result(tool, await bench.pairs({ ours, peer }));
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'verity-format',
    title: 'dm-verity format of 1 GiB',
    unit: 's',
    target: { ratio: 0.65 },
    measure: format,
  }),
  defineFigure({
    id: 'verity-verify',
    title: 'dm-verity verify of 1 GiB',
    unit: 's',
    target: { ratio: 0.65 },
    measure: verify,
  }),
];
