/** How many verdicts a verifier can give: the library alone, on the two cores the figures are for. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Figure, Measurement } from '../figure.ts';
import { defineFigure } from '../figure.ts';
import type { Bench } from '../measure.ts';

const threads = 2;
const seconds = 8;

interface Printed {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
  readonly residentMiB: number;
  readonly documentBytes: number;
  readonly events: number;
}

async function verify(bench: Bench): Promise<Measurement> {
  const program = join(import.meta.dirname, '_verify-run.ts');
  const { stdout } = await promisify(execFile)(bench.node, [program, String(threads), String(seconds)], {
    env: { ...process.env, ...bench.nodeEnv },
  });
  const { perSecond, cpuMicroseconds, residentMiB, documentBytes, events }: Printed = JSON.parse(stdout);
  return {
    value: perSecond,
    notes: {
      'cpu each': `${cpuMicroseconds} µs`,
      memory: `${residentMiB} MiB`,
      threads,
      evidence: `${documentBytes} bytes, ${events} events, 4 banks`,
    },
  };
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'attest-verify',
    title: 'whole verifications of evidence, with a signed token',
    unit: '/s',
    target: { atLeast: 4000 },
    measure: verify,
  }),
];
