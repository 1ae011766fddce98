/** What main gives to each role of the executable. */

import type { NodeConfiguration } from '@osguard/formats/node-configuration';
import type { Log } from './log.ts';

export interface RoleContext {
  readonly log: Log;
  /** Aborted when the unit is stopped; the role then returns. */
  readonly signal: AbortSignal;
}

/** Runs until it is stopped. */
export type Role = (configuration: NodeConfiguration, context: RoleContext) => Promise<void>;
