/** The machine the agent runs on: its TPM through the kernel's resource manager, its logs, its name. */

import type { TpmTransport } from '@osguard/tpm';
import { activate, attestationKey, endorsementKey, openDevice, quote, Tpm } from '@osguard/tpm';
import { encodePublicArea } from '@osguard/formats/tpm2';
import { NodeError } from '../error.ts';
import { readMeasurementLogs } from './logs.ts';
import type { Machine, MachineLogs } from './machine.ts';

export interface ThisMachineOptions {
  /** Default: the host name. */
  readonly name: string;
  readonly open?: () => Promise<TpmTransport>;
  readonly logs?: () => Promise<MachineLogs>;
}

/**
 * The TPM is opened for each thing asked of it: the kernel then frees every object and session of the connection, and a
 * TPM that was gone or busy is simply asked again the next time.
 */
export function thisMachine(options: ThisMachineOptions): Machine {
  const { name, open = openDevice, logs = readMeasurementLogs } = options;
  const withTpm = async <T>(use: (tpm: Tpm) => Promise<T>): Promise<T> => {
    await using tpm = new Tpm(await open());
    return await use(tpm);
  };
  return {
    name: name.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '') || 'node',
    logs,
    keys: () =>
      withTpm(async (tpm) => {
        const ek = await endorsementKey(tpm);
        const ak = await attestationKey(tpm);
        return {
          ek: encodePublicArea(ek.area),
          ekCertificates: ek.certificates,
          ak: encodePublicArea(ak.area),
        };
      }),
    activate: (credential, secret) =>
      withTpm(async (tpm) => {
        const object = await attestationKey(tpm);
        const ek = await endorsementKey(tpm);
        // The attestation key may be used with the empty authorization value.
        return activate(tpm, { credential, secret }, { ek, object: { ...object, auth: {} } });
      }),
    quote: ({ pcrs, qualifyingData }) =>
      withTpm(async (tpm) => {
        const ak = await attestationKey(tpm);
        const made = await quote(tpm, {
          key: { ...ak, auth: {} },
          pcrs: [{ bank: 'sha256', pcrs }],
          qualifyingData,
        });
        const values = made.values.sha256;
        if (values === undefined)
          throw new NodeError(
            'evidence',
            'the TPM keeps no SHA-256 PCRs; the firmware has to turn that bank on',
          );
        return { attest: made.message, signature: made.signatureBytes, values };
      }),
  };
}
