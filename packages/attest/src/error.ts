/** What can go wrong around a verdict; a verdict of `refused` is an answer, not an error. */

import type { OsguardErrorOptions } from '@osguard/events';
import { OsguardError } from '@osguard/events';

export type AttestErrorCode =
  /** Evidence that is no evidence: too large, too deep, not JSON, not the schema. */
  | 'evidence'
  /** A release of the policy cannot be trusted: signature, digest or content. */
  | 'release'
  /** A certificate or key named by the policy cannot be used. */
  | 'trust'
  /** A token is not one of this verifier, or not valid now. */
  | 'token';

export class AttestError extends OsguardError<AttestErrorCode> {
  override readonly name = 'AttestError';

  constructor(code: AttestErrorCode, message: string, options: OsguardErrorOptions = {}) {
    super(code, message, options);
  }
}
