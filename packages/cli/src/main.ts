/** The `osguard` command: connects the process (streams, signals, exit status) to `run`. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from './commands/index.ts';
import { run } from './run.ts';

/** What `run` gives back for a command that did not get to its end. */
const interrupted = 130;
const controller = new AbortController();
const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
let stopped: number | undefined;
let hangup: (() => void) | undefined;

for (const [name, status] of Object.entries(signals)) {
  process.on(name, () => {
    if (name === 'SIGHUP' && hangup !== undefined && stopped === undefined) {
      hangup();
      return;
    }
    // The second time the person does not want to wait for the cleaning up.
    if (stopped !== undefined) process.exit(stopped);
    stopped = status;
    controller.abort();
  });
}

// A reader that has seen enough (`| head`) is not a failure; what is left to print is dropped.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exit(3);
  });
}

interface PackageJson {
  readonly version: string;
}
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own file
const { version } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'),
) as PackageJson;

const { stdout, stderr, env } = process;
const status = await run(
  process.argv.slice(2),
  {
    stdout,
    stderr,
    env,
    signal: controller.signal,
    onHangup: (listener) => {
      hangup = listener;
    },
  },
  { version, commands },
);
// A command that was told to stop and did, as a server does, ended well.
process.exitCode = status === interrupted ? (stopped ?? status) : status;
// Pipes are written asynchronously: wait for both, then do not wait for anything a command may have left open.
await Promise.all([stdout, stderr].map((stream) => new Promise((done) => stream.write('', done))));
process.exit();
