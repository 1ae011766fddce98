import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourcesOf } from '../src/snapshotter/sources.ts';

void test('registries and repositories from the labels of old and new containerd', () => {
  const labels = {
    'containerd.io/distribution.source.10.0.2.2': 'app,team/tool',
    'containerd.io/gc.ref.content.config': 'sha256:00',
  };
  assert.deepEqual(sourcesOf(labels, ['10.0.2.2:5000', 'other:5000']), [
    { registry: '10.0.2.2:5000', repository: 'app' },
    { registry: '10.0.2.2:5000', repository: 'team/tool' },
  ]);
  assert.deepEqual(sourcesOf({ 'containerd.distribution.source.docker.io': 'library/x' }, []), [
    { registry: 'docker.io', repository: 'library/x' },
  ]);
  assert.deepEqual(sourcesOf({ 'containerd.io/distribution.source.host': '../up,UP,a b' }, []), []);
  for (const host of ['../../var/lib/x', 'good.example@evil.example', 'a/b', 'a..b', '.', 'a b']) {
    assert.deepEqual(sourcesOf({ [`containerd.io/distribution.source.${host}`]: 'app' }, []), [], host);
  }
  assert.equal(sourcesOf({ 'containerd.io/distribution.source.[::1]:5000': 'app' }, []).length, 1);
});
