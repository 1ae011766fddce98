/**
 * `osguard-node ROLE`, started by the units of the host and by nobody else. What it does follows from the role and from
 * the signed configuration in /usr; it takes no options and reads no environment variable.
 */

import { writeSync } from 'node:fs';
import { readNodeConfiguration } from './configuration.ts';
import { NodeError } from './error.ts';
import { createLog } from './log.ts';
import type { Role } from './role.ts';

/** Loaded when asked for: a host that only attests does not set up the other. */
const roles: ReadonlyMap<string, () => Promise<Role>> = new Map([
  ['attest', async () => (await import('./attest/run.ts')).runAttest],
  ['layers', async () => (await import('./snapshotter/run.ts')).runSnapshotter],
]);

async function main(): Promise<number> {
  const log = createLog((line) => writeSync(2, line));
  // What Node's own modules would still look up by name while the program runs.
  for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name);
  // Node gives a single executable its own path twice.
  const [, , name = '', ...rest] = process.argv;
  const load = rest.length === 0 ? roles.get(name) : undefined;
  if (load === undefined) {
    log.error(`usage: osguard-node ${[...roles.keys()].join('|')}`);
    return 2;
  }
  try {
    const configuration = readNodeConfiguration();
    const stop = new AbortController();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
    const run = await load();
    await run(configuration, { log, signal: stop.signal });
    return 0;
  } catch (error) {
    log.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    if (!(error instanceof NodeError) && error instanceof Error && error.stack !== undefined)
      log.info(error.stack);
    return 1;
  }
}

void main().then((status) => {
  process.exitCode = status;
});
