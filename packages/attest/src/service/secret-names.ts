/** The names of secrets, which every trusted answer carries: remembered for a moment instead of asked for each time. */

import type { Store } from '../store/index.ts';

export interface SecretNames {
  /** @throws StoreError */
  get(): Promise<readonly string[]>;
  /** They were changed here; changes of other replicas are seen a second later. */
  forget(): void;
}

/** Milliseconds. */
const goodFor = 1000;

export function createSecretNames(store: Store): SecretNames {
  let asked = Number.NEGATIVE_INFINITY;
  let names: Promise<readonly string[]> | undefined;
  return {
    async get() {
      const now = performance.now();
      if (names === undefined || now - asked > goodFor) {
        asked = now;
        names = ask(store);
        // A failure is for those who asked now, not for those who ask later.
        names.catch(() => {
          names = undefined;
        });
      }
      return names;
    },
    forget() {
      names = undefined;
    },
  };
}

async function ask(store: Store): Promise<readonly string[]> {
  return (await store.secrets.list()).map(({ name }) => name);
}
