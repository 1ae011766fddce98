/** What is known of the policy: which one is in force since when, and what is wrong with the one that should be. */

import type { PolicySource } from './policy-load.ts';

export interface PolicyStatus {
  name: string;
  source: PolicySource;
  /** Milliseconds since 1970. */
  since: number;
  /** Why the files as they are now are not in force; undefined when they are. */
  problem: string | undefined;
}
