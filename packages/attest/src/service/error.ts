/** What keeps the service from starting, or a command of an operator from being done. */

import { OsguardError } from '@osguard/events';

export type ServiceErrorCode =
  /** An option makes no sense, or two do not fit together. */
  | 'option'
  /** A file of the state folder is missing, broken or readable by others. */
  | 'state'
  /** The address is taken, or may not be listened on. */
  | 'listen'
  /** A release cannot be added. */
  | 'release';

export class ServiceError extends OsguardError<ServiceErrorCode> {
  override readonly name = 'ServiceError';
}
