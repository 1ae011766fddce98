/** A fresh software TPM for one test, reached over its socket as a program on its machine would. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlSwtpm, openSocket, startup, Tpm } from '@osguard/tpm';
import type { TpmOptions } from '@osguard/tpm';
import type { Judge } from '@osguard/testkit';
import { scratch } from '@osguard/testkit';

export interface SoftwareTpm extends AsyncDisposable {
  readonly tpm: Tpm;
  /** Another connection, after `tpm` was closed. */
  open(): Promise<Tpm>;
  /** What tpm2-tools need to reach this TPM, while `tpm` is closed. */
  readonly tcti: string;
  /** Files of the test. */
  readonly file: (name: string) => string;
}

/** `await using` ends the process and removes its state. */
export async function startSwtpm(swtpm: Judge, options: TpmOptions = {}): Promise<SoftwareTpm> {
  const folder = scratch('swtpm');
  const server = folder.file('server');
  const control = `${server}.ctrl`;
  mkdirSync(folder.file('state'));
  const child = spawn(
    swtpm.path,
    [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${folder.file('state')}`,
      '--server',
      `type=unixio,path=${server}`,
      '--ctrl',
      `type=unixio,path=${control}`,
      '--flags',
      'not-need-init',
    ],
    { stdio: 'ignore' },
  );
  const ended = once(child, 'exit');
  for (let tries = 0; !existsSync(server) || !existsSync(control); tries += 1) {
    if (tries > 1000) throw new Error('swtpm does not listen');
    await sleep(5);
  }
  const tpm = new Tpm(await openSocket({ path: server }), options);
  await startup(tpm);
  return {
    tpm,
    open: async () => new Tpm(await openSocket({ path: server }), options),
    tcti: `swtpm:path=${server}`,
    file: (name) => join(folder.path, name),
    async [Symbol.asyncDispose]() {
      await tpm.close();
      await controlSwtpm(control, 'shutdown').catch(() => child.kill());
      await ended;
      folder[Symbol.dispose]();
    },
  };
}
