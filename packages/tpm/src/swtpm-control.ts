/** swtpm's control channel (swtpm_ioctls(3)): what a machine does to its TPM from outside. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { TpmError } from './error.ts';

const codes = { init: 2, shutdown: 3, stop: 14 } as const;

/** Milliseconds: it answers at once, or is gone. */
const patience = 10_000;

/** `init` is the power-on of a machine (the TPM then waits for Startup); `shutdown` ends the process. */
export async function controlSwtpm(path: string, command: keyof typeof codes): Promise<void> {
  const socket = connect({ path });
  try {
    const message = Buffer.alloc(command === 'init' ? 8 : 4);
    message.writeUInt32BE(codes[command]);
    socket.write(message);
    const [reply]: Buffer[] = await once(socket, 'data', { signal: AbortSignal.timeout(patience) });
    const result = reply !== undefined && reply.length >= 4 ? reply.readUInt32BE(0) : undefined;
    if (result === 0) return;
    throw new TpmError('refused', `swtpm answers ${command} with ${String(result)}`);
  } catch (cause) {
    if (cause instanceof TpmError) throw cause;
    throw new TpmError('no-tpm', `no swtpm is controlled at ${path}`, { cause, exitCode: 3 });
  } finally {
    socket.destroy();
  }
}
