/** The TPM of this machine through the kernel's resource manager (Linux Documentation/security/tpm/tpm_tis.rst). */

import { open } from 'node:fs/promises';
import { TpmError } from './error.ts';
import type { TpmTransport } from './transport.ts';
import { largestResponse, oneAtATime } from './transport.ts';

/** Gives every process that opens it transient objects and sessions of its own. */
export const resourceManagedDevice = '/dev/tpmrm0';

/** @throws TpmError (`no-tpm`) when the device is not there or may not be opened. */
export async function openDevice(path: string = resourceManagedDevice): Promise<TpmTransport> {
  const file = await open(path, 'r+').catch((cause: unknown) => {
    throw new TpmError('no-tpm', `no TPM at ${path}`, {
      cause,
      exitCode: 3,
      hint: `see that this machine has a TPM 2.0 and that you may read and write ${path}`,
    });
  });
  return oneAtATime({
    async send(command) {
      try {
        // The driver takes a command in one write and gives the response to one read.
        const { bytesWritten } = await file.write(command, 0, command.length, null);
        if (bytesWritten !== command.length)
          throw new Error(`${bytesWritten} of ${command.length} bytes written`);
        const response = new Uint8Array(largestResponse);
        const { bytesRead } = await file.read(response, 0, response.length, null);
        return response.subarray(0, bytesRead);
      } catch (cause) {
        throw new TpmError('transport', `the TPM at ${path} did not answer`, { cause });
      }
    },
    close: async () => file.close(),
  });
}
