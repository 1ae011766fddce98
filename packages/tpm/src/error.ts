/** The one error of this room. */

import type { OsguardErrorOptions } from '@osguard/events';
import { OsguardError } from '@osguard/events';
import { describeResponseCode, responseCodeText } from '@osguard/formats/tpm2';

export type TpmErrorCode =
  /** There is no TPM at the given place, or it may not be opened. */
  | 'no-tpm'
  /** The connection to the TPM broke. */
  | 'transport'
  /** The TPM answered with an error; `responseCode` says which. */
  | 'refused'
  /** The answer contradicts the specification, or was not made by the TPM the session is with. */
  | 'protocol'
  /** PCRs kept changing while they were read and quoted. */
  | 'unstable'
  /** What was asked for is not in this TPM. */
  | 'missing';

export class TpmError extends OsguardError<TpmErrorCode> {
  override readonly name = 'TpmError';
  /** TPM_RC, when the TPM answered with one. */
  readonly responseCode: number | undefined;

  constructor(
    code: TpmErrorCode,
    message: string,
    options: OsguardErrorOptions & { readonly responseCode?: number } = {},
  ) {
    super(code, message, options);
    this.responseCode = options.responseCode;
  }
}

export function refusal(command: string, responseCode: number): TpmError {
  return new TpmError('refused', `the TPM refuses ${command}: ${responseCodeText(responseCode)}`, {
    responseCode,
    data: { command, responseCode },
    exitCode: 1,
  });
}

/** True when the TPM refused with this name, for example `HANDLE`, whatever handle or parameter it is about. */
export function isRefusal(error: unknown, ...names: readonly string[]): error is TpmError {
  if (!(error instanceof TpmError) || error.responseCode === undefined) return false;
  return names.includes(describeResponseCode(error.responseCode).name);
}
