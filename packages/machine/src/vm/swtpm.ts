/** The virtual TPM of one machine: an swtpm process whose state lies in a folder, reached by QEMU over a socket. */

import { mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { MachineError } from '../error.ts';
import { startChild } from '../process/child.ts';
import type { Child } from '../process/child.ts';
import type { Tools } from '../tools/open.ts';

export interface TpmOptions {
  /** Absolute path of the state folder (swtpm changes its working folder); made when missing. */
  readonly folder: string;
  /** Absolute path of the control socket, at most 107 bytes (unix(7)). */
  readonly socket: string;
  /** Absolute path of a socket for commands from here instead of a machine. */
  readonly server?: string;
}

/** Starts swtpm and waits until it listens. It ends by itself when QEMU or we let go of the socket. */
export async function startTpm(tools: Tools, options: TpmOptions): Promise<Child> {
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const child = startChild(
    tools.command('swtpm', [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${options.folder},mode=0600`,
      '--ctrl',
      `type=unixio,path=${options.socket},mode=0600`,
      ...(options.server === undefined
        ? []
        : ['--server', `type=unixio,path=${options.server},mode=0600`, '--flags', 'not-need-init']),
      '--terminate',
    ]),
  );
  let ended = false;
  void child.exited.then(() => (ended = true));
  const deadline = performance.now() + 20_000;
  while (![options.socket, options.server ?? options.socket].every(isListening)) {
    if (ended || performance.now() > deadline) {
      await child.kill(0);
      throw new MachineError(
        'start-failed',
        `swtpm did not start: ${child.errors().trim() || 'no reason given'}`,
        {
          hint: `see that no other machine uses the TPM state in ${options.folder}`,
        },
      );
    }
    await sleep(5);
  }
  return child;
}

/** /proc/net/unix shows a listening socket with the flag __SO_ACCEPTCON (0x10000): asking it does not disturb swtpm. */
function isListening(path: string): boolean {
  return readFileSync('/proc/net/unix', 'latin1')
    .split('\n')
    .some((line) => line.endsWith(` ${path}`) && line.split(/\s+/)[3] === '00010000');
}
