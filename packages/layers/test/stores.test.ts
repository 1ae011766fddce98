/** One contract for every store that can be written to. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { suite, test } from 'node:test';
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

test('a pipe in a layout is not waited for', { timeout: 10_000 }, async () => {
  using dir = scratch('store');
  mkdirSync(dir.file('layout'));
  execFileSync('mkfifo', [dir.file('layout/index.json')]);
  await assert.rejects(
    openLayout(dir.file('layout')).manifest('latest'),
    /has no index\.json|no image named/,
  );
});

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
