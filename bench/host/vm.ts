/**
 * From the start of the virtual machine to multi-user, Secure Boot and TPM included, beside the same packages with nothing
 * that protects: writable ext4 without dm-verity, IPE, SELinux and Secure Boot.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRelease } from '@osguard/image';
import { loadKeyring } from '@osguard/keys';
import type { Tools } from '@osguard/machine';
import { openTools, startMachine } from '@osguard/machine';
import { enrolledVariables } from '@osguard/machine/prove';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench } from '../measure.ts';
import { openLab } from './_lab.ts';
import { openPeer } from './_mkosi.ts';

const rounds = 3;

interface Host {
  readonly disk: string;
  /** Variable store with keys: Secure Boot on. */
  readonly variables?: string;
}

interface Boot {
  readonly accelerator: string;
  /** Seconds since the machine was started. */
  readonly kernel: number;
  readonly multiUser: number;
  /** As systemd-analyze has it. */
  readonly analyzed: string;
}

async function boot(tools: Tools, { disk, variables }: Host): Promise<Boot> {
  await using machine = await startMachine({
    tools,
    disks: [{ path: disk, format: 'raw', writes: 'snapshot' }],
    network: 'none',
    ...(variables !== undefined && { variables }),
  });
  const limits = { timeoutMs: 900_000, unless: /Kernel panic|emergency mode|Freezing execution/ };
  const kernel = await machine.console.waitFor(/Linux version \d/, limits);
  const done = await machine.console.waitFor(/Startup finished in .*/, limits);
  return {
    accelerator: machine.accelerator,
    kernel: kernel.at / 1000,
    multiUser: done.at / 1000,
    analyzed: /= *([\w. ]+?)\s*$/.exec(done.text)?.[1] ?? done.text,
  };
}

const middle = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? Number.NaN) + (sorted[sorted.length >> 1] ?? Number.NaN)) / 2;
};

function notes(prefix: string, boots: readonly Boot[]): Record<string, string> {
  return {
    [`${prefix}firmware`]: `${middle(boots.map(({ kernel }) => kernel)).toFixed(1)} s`,
    [`${prefix}systemd-analyze`]: boots.map(({ analyzed }) => analyzed).join(' / '),
  };
}

async function measure(bench: Bench): Promise<Measurement> {
  const lab = openLab(bench);
  // What lab.release() keeps is shared: this one says when it is up.
  const path = join(lab.folder, 'announcing');
  const { argv, env = {}, prepare } = lab.build(lab.define('announcing', { announce: true }), path);
  prepare();
  const [file, ...args] = argv;
  execFileSync(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
  const folder = mkdtempSync(join(tmpdir(), 'osguard-bench-boot-'));
  try {
    const release = await openRelease(path);
    const tools = await openTools();
    const variables = join(folder, 'variables.fd');
    writeFileSync(variables, enrolledVariables(await loadKeyring(lab.keys), { release, tools }));
    const ours = { disk: release.file('disk.raw'), variables };
    const peer = await openPeer(bench);
    const plain = 'missing' in peer ? undefined : peer.plain();
    if (plain !== undefined) await bench.once(plain.build);
    const boots: { readonly ours: Boot; readonly peer: Boot | undefined }[] = [];
    for (let round = 0; round < (bench.singly ? 1 : rounds); round += 1) {
      const pair = {
        ours: await boot(tools, ours),
        peer: plain === undefined ? undefined : await boot(tools, { disk: plain.path }),
      };
      boots.push(pair);
      const seconds = [pair.ours, pair.peer].map((one) => `${one?.multiUser.toFixed(1) ?? '-'} s`);
      process.stderr.write(`  pair ${round + 1}: ${seconds.join(', peer ')}\n`);
    }
    const own = boots.map((pair) => pair.ours);
    const others = boots.flatMap((pair) => (pair.peer === undefined ? [] : [pair.peer]));
    return {
      value: middle(own.map(({ multiUser }) => multiUser)),
      ...(others.length > 0 && {
        peer: 'the same packages on ext4',
        peerValue: middle(others.map(({ multiUser }) => multiUser)),
      }),
      notes: {
        accelerator: own[0]?.accelerator ?? 'none',
        ...notes('', own),
        ...('missing' in peer ? { 'no-peer': peer.missing } : notes('peer-', others)),
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(path, { recursive: true, force: true });
  }
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'boot',
    title: 'start of the virtual machine to multi-user, 2 processors',
    unit: 's',
    target: { ratio: 1.1 },
    measure,
  }),
];
