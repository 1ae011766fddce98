/** What can go wrong while the node executable is made or while it runs. */

import type { OsguardErrorOptions } from '@osguard/events';
import { OsguardError } from '@osguard/events';

export type NodeErrorCode =
  /** The Node binary is not laid out as expected. */
  | 'node-binary'
  /** The sources could not be bundled, or Node did not take the bundle. */
  | 'bundle'
  /** The executable was started in another way than its units start it. */
  | 'usage'
  /** The signed configuration of the node is missing or cannot be understood. */
  | 'configuration'
  /** The verifier cannot be reached or answers what the protocol does not know. */
  | 'verifier'
  /** The TPM or a log of the machine cannot be read. */
  | 'evidence';

export class NodeError extends OsguardError<NodeErrorCode> {
  override readonly name = 'NodeError';

  constructor(code: NodeErrorCode, message: string, options: OsguardErrorOptions = {}) {
    super(code, message, options);
  }
}
