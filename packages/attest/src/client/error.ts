/** What an operator's request can end with besides its answer. */

import { OsguardError } from '@osguard/events';

export type ClientErrorCode =
  /** Nothing is known of a verifier here: no address, no token. */
  | 'no-verifier'
  /** The verifier cannot be reached, or shows another certificate. */
  | 'unreachable'
  /** The token is not known, or its role does not allow this. */
  | 'not-allowed'
  /** What was asked for does not exist. */
  | 'not-found'
  /** The verifier refused for another reason. */
  | 'refused'
  /** The answer is not one of a verifier. */
  | 'protocol';

export class ClientError extends OsguardError<ClientErrorCode> {
  override readonly name = 'ClientError';
}
