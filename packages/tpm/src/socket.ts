/** swtpm's socket: the bare command and response stream (swtpm(8), option --server). */

import { once } from 'node:events';
import type { NetConnectOpts, Socket } from 'node:net';
import { connect } from 'node:net';
import { TpmError } from './error.ts';
import type { TpmTransport } from './transport.ts';
import { largestResponse, oneAtATime } from './transport.ts';

/** A unix socket by its path, or TCP by port and host. */
export type SocketAddress = { readonly path: string } | { readonly port: number; readonly host?: string };

export interface SocketOptions {
  /** Milliseconds until a command that has no answer is given up; two minutes unless told otherwise (RSA keys). */
  readonly timeout?: number;
}

const headerBytes = 10;

/** @throws TpmError (`no-tpm`) when nothing listens there. */
export async function openSocket(address: SocketAddress, options: SocketOptions = {}): Promise<TpmTransport> {
  const { timeout = 120_000 } = options;
  const socket = await dial(address);
  // Failures between commands show when the next one finds the stream destroyed.
  socket.on('error', () => undefined);
  return oneAtATime({
    async send(command) {
      try {
        return await exchange(socket, command, timeout);
      } catch (cause) {
        // A late answer would be taken for that of the next command.
        socket.destroy();
        if (cause instanceof TpmError) throw cause;
        throw new TpmError('transport', 'the connection to the TPM broke', { cause });
      }
    },
    close: () =>
      new Promise((resolve) => {
        if (socket.destroyed) resolve();
        else socket.once('close', () => resolve()).destroy();
      }),
  });
}

async function dial(address: SocketAddress): Promise<Socket> {
  const target: NetConnectOpts =
    'path' in address ? { path: address.path } : { port: address.port, host: address.host ?? '127.0.0.1' };
  const socket = connect(target);
  try {
    await once(socket, 'connect');
  } catch (cause) {
    const where = 'path' in address ? address.path : `${address.host ?? '127.0.0.1'}:${address.port}`;
    throw new TpmError('no-tpm', `no TPM listens at ${where}`, { cause, exitCode: 3 });
  }
  return socket;
}

function exchange(socket: Socket, command: Uint8Array, timeout: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const finish = (outcome: () => void): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      socket.pause();
      outcome();
    };
    const fail = (message: string): void => finish(() => reject(new TpmError('transport', message)));
    const onClose = (): void => fail('the TPM closed the connection');
    const onData = (piece: Buffer): void => {
      received = Buffer.concat([received, piece]);
      if (received.length < headerBytes) return;
      const size = received.readUInt32BE(2);
      if (size < headerBytes || size > largestResponse || received.length > size) {
        fail(`a response of ${received.length} bytes says it has ${size}`);
      } else if (received.length === size) {
        finish(() => resolve(new Uint8Array(received)));
      }
    };
    const timer = setTimeout(() => fail(`the TPM did not answer within ${timeout} ms`), timeout);
    if (socket.destroyed) return fail('the connection to the TPM is closed');
    socket.on('data', onData);
    socket.on('close', onClose);
    socket.resume();
    socket.write(command);
  });
}
