/** What a store can fail with. A refusal (nonce gone, list full) is an answer, not an error. */

import { OsguardError } from '@osguard/events';

export type StoreErrorCode =
  /** The database cannot be reached or written now: gone, locked for too long, disk full. Trying again later may help. */
  | 'unavailable'
  /** The database is not one of osguard's, or of a version this program does not know. */
  | 'incompatible'
  /** Too much is waiting to be written. */
  | 'busy'
  /** The store was closed. */
  | 'closed'
  /** A statement failed for a reason that trying again does not mend. */
  | 'failed';

export class StoreError extends OsguardError<StoreErrorCode> {
  override readonly name = 'StoreError';
}
