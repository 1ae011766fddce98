/** A TPM of its own for a test: swtpm on a socket. It keeps objects between connections, so each begins with a flush. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TpmTransport } from '@osguard/tpm';
import { flushContext, listHandles, openSocket, Tpm } from '@osguard/tpm';

export interface TestTpm extends AsyncDisposable {
  open(): Promise<TpmTransport>;
}

export async function startTestTpm(swtpm: string, folder: string): Promise<TestTpm> {
  const path = `${folder}/tpm.sock`;
  const child = spawn(
    swtpm,
    [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${folder}`,
      '--server',
      `type=unixio,path=${path}`,
      '--flags',
      'startup-clear',
    ],
    { stdio: 'ignore' },
  );
  for (let tries = 0; !existsSync(path) && tries < 500; tries += 1) await sleep(10);
  return {
    async open() {
      const transport = await openSocket({ path });
      const tpm = new Tpm(transport);
      for (const handle of await listHandles(tpm, 'transient')) await flushContext(tpm, handle);
      return transport;
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}
