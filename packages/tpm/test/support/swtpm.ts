/** A fresh software TPM for one test, reached over its socket as a program on its machine would. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlSwtpm, openSocket, startup, Tpm } from '@osguard/tpm';
import type { TpmOptions } from '@osguard/tpm';
import type { Judge } from '@osguard/testkit';
import { scratch } from '@osguard/testkit';

export interface SoftwareTpm extends AsyncDisposable {
  readonly tpm: Tpm;
  /** Another connection, after `tpm` was closed; somebody may stand in between. */
  open(between?: (response: Uint8Array) => Uint8Array): Promise<Tpm>;
  /** The power goes without a word to the TPM, and comes back. */
  cutPower(): Promise<void>;
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
  const tpm = await connect(server, options).catch(async (error: unknown) => {
    child.kill();
    await ended;
    folder[Symbol.dispose]();
    throw error;
  });
  return {
    tpm,
    async open(between = (response) => response) {
      const socket = await openSocket({ path: server });
      const send = async (command: Uint8Array): Promise<Uint8Array> => between(await socket.send(command));
      return new Tpm({ send, close: async () => socket.close() }, options);
    },
    async cutPower() {
      await controlSwtpm(control, 'init');
      await startup(tpm);
    },
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

/** The socket's file is there before somebody listens, and the other socket comes after it. */
async function connect(server: string, options: TpmOptions): Promise<Tpm> {
  for (let tries = 0; ; tries += 1) {
    try {
      const tpm = new Tpm(await openSocket({ path: server }), options);
      await startup(tpm);
      return tpm;
    } catch (error) {
      if (tries > 2000) throw error;
      await sleep(5);
    }
  }
}
