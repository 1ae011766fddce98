import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';

import type { OsguardEvent } from '@osguard/events';
import { scratch } from '@osguard/testkit';

import { suite } from '../../src/tools/table.ts';
import { ensureTree, readTree, treePath } from '../../src/tools/tree.ts';

describe('a tools tree from the mirror of this machine', { timeout: 900_000 }, () => {
  const packages = ['zstd', 'mtools'];

  it('is made once for two who ask at the same time, and its programs run', async () => {
    using folder = scratch('tools');
    const events: OsguardEvent[] = [];
    const request = {
      folder: folder.path,
      suite,
      packages,
      sink: (event: OsguardEvent) => void events.push(event),
    };
    const [one, two] = await Promise.all([ensureTree(request), ensureTree(request)]);
    assert.deepEqual(one, two);
    assert.equal(
      events.filter((event) => event.type === 'step' && event.state === 'done' && event.id === 'tools-unpack')
        .length,
      1,
    );
    const fetched = events.findLast((event) => event.type === 'progress' && event.id === 'tools-fetch');
    assert.ok(fetched?.type === 'progress' && fetched.done === fetched.total && fetched.done >= 2);
    const bin = `${one.path}/bin`;
    assert.match(execFileSync(`${bin}/zstd`, ['--version'], { encoding: 'utf8' }), /v1\.5\.[67]/);
    const found = execFileSync('sh', ['-c', 'mcopy --version'], {
      encoding: 'utf8',
      env: { PATH: `${bin}:${process.env['PATH']}` },
    });
    assert.match(found, /mtools\) 4\.0\.4/);
    assert.ok(one.packages['zstd']?.startsWith('1.5'));
    assert.deepEqual(await ensureTree({ ...request, sink: () => assert.fail('nothing is left to do') }), one);
  });

  it('interrupted at any step leaves nothing that could be taken for a tree', async () => {
    for (const id of ['tools-lists', 'tools-fetch', 'tools-unpack']) {
      using folder = scratch('tools');
      const abort = new AbortController();
      const sink = (event: OsguardEvent): void => {
        if (event.type === 'step' && event.id === id) abort.abort();
      };
      const request = { folder: folder.path, suite, packages: ['zstd'], sink, signal: abort.signal };
      await assert.rejects(ensureTree(request), { code: 'aborted' });
      assert.equal(readTree(treePath(request)), undefined);
      assert.deepEqual(
        readdirSync(folder.path).filter((name) => !name.endsWith('.lock')),
        [],
      );
    }
  });

  it('says so when the mirror is wrong', async () => {
    using folder = scratch('tools');
    const request = { folder: folder.path, suite, packages: ['zstd'], sink: () => undefined };
    await assert.rejects(ensureTree({ ...request, mirror: `file:${folder.path}/none` }), {
      code: 'tool-failed',
    });
    await assert.rejects(ensureTree({ ...request, packages: ['no-such-package-at-all'] }), {
      code: 'tool-failed',
      message: /no-such-package-at-all/,
    });
  });
});
