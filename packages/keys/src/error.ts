/** The one error of this room. Messages name roles and files, never what is inside a private key. */

import { OsguardError } from '@osguard/events';

export type KeysErrorCode =
  /** The folder to create exists and is not empty. */
  | 'exists'
  /** A file or role is not there. */
  | 'missing'
  /** Other users may read a private key. */
  | 'exposed'
  /** A key or certificate cannot be used, or the two do not belong together. */
  | 'invalid'
  /** A role was to sign, or to vouch for, what another role signs. */
  | 'wrong-role'
  /** The signer itself failed. */
  | 'signing-failed';

export class KeysError extends OsguardError<KeysErrorCode> {
  override readonly name = 'KeysError';
}
