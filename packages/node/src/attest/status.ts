/** /run/osguard/status.json: where the node stands, for other programs on the host and for people. */

import type { CheckMessage } from '@osguard/attest/protocol';

/**
 * `unproven`: nothing counts now, because nothing was proved yet or what was has run out; `waiting`: an operator has to
 * act at the verifier.
 */
export type NodeState = 'unproven' | 'waiting' | 'trusted' | 'refused';

export interface MissingSecret {
  readonly name: string;
  readonly problem: string;
}

export interface NodeStatus {
  readonly schema: 'osguard/node-status/v1';
  readonly state: NodeState;
  /** ISO 8601, of the last change of `state`. */
  readonly since: string;
  /** SHA-256 of the endorsement key, once it is known. */
  readonly node?: string;
  readonly verifier: string;
  /** Until then the verdict counts. */
  readonly expires?: string;
  /** Names, not values. */
  readonly secrets: readonly string[];
  /** Those the verdict unlocks and the last attempt did not get, and why. */
  readonly missing: readonly MissingSecret[];
  /** Of the last verdict: the checks that failed. */
  readonly failed: readonly CheckMessage[];
  /** Why the last attempt came to nothing. */
  readonly problem?: string;
}
