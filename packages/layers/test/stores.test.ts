/** One contract for every store that can be written to. */

import { suite } from 'node:test';
import { openLayout, openRegistry } from '@osguard/layers';
import {
  canRunDockerRegistry,
  noDockerRegistry,
  scratch,
  startDockerRegistry,
  startFakeRegistry,
} from '@osguard/testkit';
import type { Opened } from './support/store-contract.ts';
import { storeContract } from './support/store-contract.ts';

const env = { HOME: '/nonexistent' };

async function inFake(referrers: boolean): Promise<Opened> {
  const registry = await startFakeRegistry({ referrers });
  const store = await openRegistry({ registry: registry.host, repository: 'a/b' }, { env });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store.close();
      await registry[Symbol.asyncDispose]();
    },
  };
}

suite('OCI layout', () =>
  storeContract(async () => {
    const dir = scratch('store');
    const store = openLayout(dir.file('layout'));
    return Promise.resolve({
      store,
      [Symbol.asyncDispose]: async () => Promise.resolve(dir[Symbol.dispose]()),
    });
  }),
);

suite('registry with referrers', () => storeContract(async () => inFake(true)));

suite('registry without referrers', () => storeContract(async () => inFake(false)));

suite('docker-registry', { skip: canRunDockerRegistry() ? false : noDockerRegistry }, () =>
  storeContract(async () => {
    const dir = scratch('store');
    const registry = await startDockerRegistry({ folder: dir.file('registry') });
    const store = await openRegistry({ registry: registry.host, repository: 'a/b' }, { env });
    return {
      store,
      async [Symbol.asyncDispose]() {
        await store.close();
        await registry[Symbol.asyncDispose]();
        dir[Symbol.dispose]();
      },
    };
  }),
);
