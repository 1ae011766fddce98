/** What can go wrong between a definition and a release, and on the way back. */

import type { OsguardErrorOptions } from '@osguard/events';
import { OsguardError } from '@osguard/events';

export type ImageErrorCode =
  /** The definition says something that cannot be built. */
  | 'definition'
  /** A locked package is gone or is not the one the lock names. */
  | 'package'
  /** apt, mmdebstrap or another tool of the build ended with an error. */
  | 'tool-failed'
  /** The build host lacks a tool. Exit code 3. */
  | 'tool-missing'
  /** No package mirror could be read from the machine's own apt configuration. Exit code 3. */
  | 'mirror-not-found'
  /** What was installed lacks a file the host cannot do without. */
  | 'incomplete-root'
  /** Content does not fit in the place the definition gives it. */
  | 'too-small'
  /** An input of verify, inspect or diff is neither a release folder nor a disk image. */
  | 'not-an-image'
  /** The signal to cancel came; nothing was left behind. */
  | 'cancelled';

export class ImageError extends OsguardError<ImageErrorCode> {
  override readonly name = 'ImageError';

  constructor(code: ImageErrorCode, message: string, options: OsguardErrorOptions = {}) {
    const lacking = code === 'tool-missing' || code === 'mirror-not-found';
    super(code, message, lacking ? { exitCode: 3, ...options } : options);
  }
}
