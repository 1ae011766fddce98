/** The role `attest`: proves to the verifier what this machine booted, and keeps what it is given for that. */

import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { NodeError } from '../error.ts';
import type { Role } from '../role.ts';
import { runAgent } from './agent.ts';
import { openKeep } from './keep.ts';
import { openVerifier } from './verifier.ts';
import { thisMachine } from './this-machine.ts';

export const agentVersion = '0.1.0';

export const runAttest: Role = async ({ release, attest }, { log, signal }) => {
  if (attest === undefined)
    throw new NodeError('configuration', 'the configuration of this host has no part `attest`');
  const { verifier: address, ca, interval } = attest;
  log.notice(`attest: ${release.name} ${release.version}, verifier ${address}, every ${interval} s`);
  await runAgent({
    machine: thisMachine({ name: hostname() }),
    connect: (identity) => openVerifier({ address, ca, identity, signal }),
    keep: openKeep(),
    log,
    clock: {
      wall: () => Date.now(),
      alarm: (seconds, ring) => {
        const timer = setTimeout(ring, seconds * 1000);
        return () => clearTimeout(timer);
      },
      wait: (seconds) => sleep(seconds * 1000, undefined, { signal }).catch(() => undefined),
    },
    random: Math.random,
    verifier: address,
    interval,
    version: agentVersion,
    signal,
  });
  log.notice('attest: stopped');
};
