/**
 * The two records of what was measured: the firmware's (TCG PC Client, kept by the kernel) and systemd's own; and the
 * kernel's command line, as a hint.
 */

import { open } from 'node:fs/promises';
import { limits } from '@osguard/attest/protocol';
import { NodeError } from '../error.ts';
import type { MachineLogs } from './machine.ts';

const firmwareLog = '/sys/kernel/security/tpm0/binary_bios_measurements';
const userspaceLog = '/run/log/systemd/tpm2-measure.log';
const commandLine = '/proc/cmdline';
/** Characters; what the protocol takes. */
const longestCommandLine = 65_536;

/** @throws NodeError `evidence` when there is no firmware log or one of them is longer than the protocol takes */
export async function readMeasurementLogs(): Promise<MachineLogs> {
  const firmware = await readBounded(firmwareLog, limits.firmwareLog);
  if (firmware === undefined) {
    throw new NodeError('evidence', `${firmwareLog} is not there: the firmware measured nothing`, {
      hint: 'the machine needs a TPM 2.0 that the firmware uses',
    });
  }
  const userspace = await readBounded(userspaceLog, limits.userspaceLog);
  const line = await readBounded(commandLine, longestCommandLine);
  return {
    firmware,
    userspace: userspace === undefined ? '' : Buffer.from(userspace).toString('utf8'),
    ...(line !== undefined && { commandLine: Buffer.from(line).toString('utf8').replace(/\n$/, '') }),
  };
}

/** Files of securityfs have no size: read until the end or the bound. */
async function readBounded(path: string, most: number): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path, 'r');
    const buffer = new Uint8Array(most + 1);
    let length = 0;
    while (length <= most) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) return buffer.slice(0, length);
      length += bytesRead;
    }
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new NodeError(
      'evidence',
      `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
  throw new NodeError('evidence', `${path} has more than ${most} bytes`);
}
