/** The names of a node's secrets, which every trusted answer carries: remembered for a moment instead of asked for each time. */

import { isInScope } from '../store/index.ts';
import type { Recipient, SecretSummary, Store } from '../store/index.ts';

export interface SecretNames {
  /** @throws StoreError */
  get(recipient: Recipient): Promise<readonly string[]>;
  /** They were changed here; changes of other replicas are seen a second later. */
  forget(): void;
}

/** Milliseconds. */
const goodFor = 1000;

export function createSecretNames(store: Store): SecretNames {
  let asked = Number.NEGATIVE_INFINITY;
  let secrets: Promise<readonly SecretSummary[]> | undefined;
  return {
    async get(recipient) {
      const now = performance.now();
      if (secrets === undefined || now - asked > goodFor) {
        asked = now;
        secrets = store.secrets.list();
        // A failure is for those who asked now, not for those who ask later.
        secrets.catch(() => {
          secrets = undefined;
        });
      }
      return (await secrets).filter(({ scope }) => isInScope(scope, recipient)).map(({ name }) => name);
    },
    forget() {
      secrets = undefined;
    },
  };
}
