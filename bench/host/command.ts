/** How long the command takes to say what it can do: what every other call of it pays too. */

import { join } from 'node:path';
import type { Figure } from '../figure.ts';
import { defineFigure } from '../figure.ts';

function check(stdout: string): void {
  if (!stdout.includes('keys init')) throw new Error('osguard --help does not list its commands');
}

function milliseconds(seconds: number): number {
  return Math.round(seconds * 1000);
}

export const figures: readonly Figure[] = [
  defineFigure({
    id: 'command-help',
    title: 'osguard --help, with the compile cache of an earlier run',
    unit: 'ms',
    target: { atMost: 150 },
    async measure(bench) {
      const env = bench.nodeEnv;
      const help = { argv: [join(bench.root, 'osguard'), '--help'], env, check } as const;
      const bare = { argv: [bench.node, '--eval', '0'], env } as const;
      const { ours, peer } = await bench.pairs({ ours: help, peer: bare, rounds: 15 });
      return {
        value: milliseconds(ours.seconds),
        peer: 'node that does nothing',
        peerValue: milliseconds(peer.seconds),
        notes: { cpu_ms: milliseconds(ours.cpuSeconds) },
      };
    },
  }),
];
