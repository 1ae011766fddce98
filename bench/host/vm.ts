/** From the start of the virtual machine to multi-user, Secure Boot and TPM included; nothing attacks it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRelease } from '@osguard/image';
import { loadKeyring } from '@osguard/keys';
import { openTools, startMachine } from '@osguard/machine';
import { enrolledVariables } from '@osguard/machine/prove';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench } from '../measure.ts';
import { openLab } from './_lab.ts';

const rounds = 2;

interface Boot {
  readonly accelerator: string;
  /** Seconds since the machine was started. */
  readonly kernel: number;
  readonly multiUser: number;
}

async function boot(
  folder: string,
  { release, keys }: { readonly release: string; readonly keys: string },
): Promise<Boot> {
  const opened = await openRelease(release);
  const tools = await openTools();
  const variables = join(folder, 'variables.fd');
  writeFileSync(variables, enrolledVariables(await loadKeyring(keys), { release: opened, tools }));
  await using machine = await startMachine({
    tools,
    disks: [{ path: opened.file('disk.raw'), format: 'raw', writes: 'snapshot' }],
    network: 'none',
    variables,
  });
  const limits = { timeoutMs: 600_000, unless: /Kernel panic|emergency mode|Freezing execution/ };
  const kernel = await machine.console.waitFor(/Linux version \d/, limits);
  const multiUser = await machine.console.waitFor(/Reached target multi-user\.target/, limits);
  return { accelerator: machine.accelerator, kernel: kernel.at / 1000, multiUser: multiUser.at / 1000 };
}

const middle = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? Number.NaN) + (sorted[sorted.length >> 1] ?? Number.NaN)) / 2;
};

async function measure(bench: Bench): Promise<Measurement> {
  const lab = openLab(bench);
  const release = lab.release();
  const folder = mkdtempSync(join(tmpdir(), 'osguard-bench-boot-'));
  const boots: Boot[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      const one = await boot(folder, { release, keys: lab.keys });
      boots.push(one);
      process.stderr.write(`  boot ${round + 1} of ${rounds}: ${one.multiUser.toFixed(1)} s\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    value: middle(boots.map(({ multiUser }) => multiUser)),
    notes: {
      accelerator: boots[0]?.accelerator ?? 'none',
      firmware: `${middle(boots.map(({ kernel }) => kernel)).toFixed(1)} s`,
      'kernel-to-multi-user': `${middle(boots.map(({ kernel, multiUser }) => multiUser - kernel)).toFixed(1)} s`,
      'no-peer': 'the same packages on a plain ext4 root are not built here',
    },
  };
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'boot',
    title: 'start of the virtual machine to multi-user, 2 processors',
    unit: 's',
    measure,
  }),
];
