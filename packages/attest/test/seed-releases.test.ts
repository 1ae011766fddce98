import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';
import { goodPolicy } from '../negative/model/baseline.ts';
import { goodBoot, release } from '../negative/model/boot.ts';
import { seedReleases } from '../src/service/index.ts';
import type { ReleaseSource } from '../src/service/setup.ts';
import { openStore } from '../src/store/index.ts';

void test('a policy that becomes stricter counts for releases that are there; one that becomes laxer does not', async () => {
  using dir = scratch('seed');
  const folder = join(dir.path, 'release');
  mkdirSync(folder);
  const { manifest, referenceValues } = release({ version: '1.0', boot: goodBoot });
  writeFileSync(join(folder, 'release.json'), manifest);
  writeFileSync(join(folder, 'reference-values.json'), referenceValues);
  const store = await openStore(join(dir.path, 'store.db'));
  try {
    const seed = async (source: Omit<ReleaseSource, 'folder'>): Promise<readonly unknown[]> => {
      await seedReleases(store, [{ folder, ...source }], { policy: goodPolicy(), now: 5 });
      const [found] = await store.releases.list();
      return [found?.state, found?.from, found?.until];
    };
    assert.deepEqual(await seed({ state: 'promoted' }), ['promoted', null, null]);
    assert.deepEqual(await seed({ state: 'promoted', until: 900 }), ['promoted', null, 900]);
    assert.deepEqual(await seed({ state: 'deprecated', until: 700 }), ['deprecated', null, 700]);
    assert.deepEqual(await seed({ state: 'deprecated', from: 10, until: 800 }), ['deprecated', 10, 700]);
    const before = (await store.decisions.head()).seq;
    assert.deepEqual(await seed({ state: 'promoted' }), ['deprecated', 10, 700], 'not laxer');
    assert.equal((await store.decisions.head()).seq, before, 'nothing changed, nothing is said');
    assert.deepEqual((await seed({ state: 'revoked' }))[0], 'revoked');
    assert.deepEqual((await seed({ state: 'promoted' }))[0], 'revoked');
  } finally {
    await store.close();
  }
});
