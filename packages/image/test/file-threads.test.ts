import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { truncateSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { scratch } from '@osguard/testkit';
import { FileThreads } from '../src/files/file-threads.ts';
import { hashFiles } from '../src/files/hash.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('threads for files', () => {
  test('property: the first byte that is not zero or differs is found wherever it is', async () => {
    using dir = scratch('threads');
    await using threads = new FileThreads(2);
    const size = 700_000;
    writeFileSync(dir.file('zeros'), Buffer.alloc(size));
    await fc.assert(
      fc.asyncProperty(fc.nat(size - 1), fc.nat(1000), async (at, start) => {
        const bytes = Buffer.alloc(size);
        bytes[at] = 1;
        writeFileSync(dir.file('one'), bytes);
        const area = { path: dir.file('one'), offset: start, size: size - start };
        const expected = at < start ? undefined : at - start;
        assert.equal(await threads.nonZero(area), expected);
        const other = { path: dir.file('zeros'), offset: start };
        assert.equal(await threads.compare({ area, other }), expected);
      }),
      { numRuns: 40 },
    );
  });

  test('bodies in pieces, empty ones and several digests', async () => {
    using dir = scratch('threads');
    await using threads = new FileThreads(1);
    const bytes = Buffer.from(Array.from({ length: 600_000 }, (_, index) => index % 251));
    writeFileSync(dir.file('a'), bytes);
    const bodies = [
      [],
      [{ offset: 0, size: bytes.length }],
      [
        { offset: 599_999, size: 1 },
        { offset: 5, size: 300_000 },
      ],
    ];
    const digests = await threads.digests({ path: dir.file('a'), algorithms: ['sha256', 'sha1'], bodies });
    const pieces = Buffer.concat([bytes.subarray(599_999), bytes.subarray(5, 300_005)]);
    assert.deepEqual(
      digests.map(([first]) => first),
      [sha256(Buffer.alloc(0)), sha256(bytes), sha256(pieces)],
    );
    assert.equal(digests[1]?.[1], createHash('sha1').update(bytes).digest('hex'));
    writeFileSync(dir.file('empty'), '');
    const [a, empty] = await hashFiles([dir.file('a'), dir.file('empty')], threads);
    assert.deepEqual([a?.size, a?.sha256, empty?.sha256], [600_000, sha256(bytes), sha256(Buffer.alloc(0))]);
  });

  test('whoever waits works too: all is done although the only thread has ended nothing yet', async () => {
    using dir = scratch('threads');
    await using threads = new FileThreads(1);
    const bytes = Buffer.alloc(300_000, 5);
    writeFileSync(dir.file('a'), bytes);
    const job = {
      path: dir.file('a'),
      algorithms: ['sha256'],
      bodies: [[{ offset: 0, size: 300_000 }]],
    } as const;
    const jobs = Array.from({ length: 50 }, async () => threads.digests(job));
    const missing = threads.digests({ ...job, path: dir.file('missing') });
    missing.catch(() => undefined);
    const digests = await threads.help(Promise.all(jobs));
    assert.deepEqual(new Set(digests.map(([first]) => first?.[0])), new Set([sha256(bytes)]));
    await assert.rejects(missing, { code: 'ENOENT' });
    await assert.rejects(threads.help(Promise.reject(new Error('mine'))), { message: 'mine' });
    // What is queued while it waits is done as well.
    const later = (async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return Promise.all(Array.from({ length: 3 }, async () => threads.digests(job)));
    })();
    assert.equal((await threads.help(later)).length, 3);
  });

  test('a file that is missing or too short fails its own job and no other', async () => {
    using dir = scratch('threads');
    await using threads = new FileThreads(1);
    writeFileSync(dir.file('a'), Buffer.alloc(100));
    truncateSync(dir.file('a'), 50);
    const area = { path: dir.file('a'), offset: 0, size: 100 };
    await assert.rejects(threads.nonZero(area), { code: 'TRUNCATED', syscall: 'read' });
    const missing = { path: dir.file('none'), offset: 0, size: 1 };
    await assert.rejects(threads.nonZero(missing), { code: 'ENOENT', syscall: 'open' });
    assert.equal(await threads.nonZero({ ...area, size: 50 }), undefined);
  });

  test('work that was not done when the threads are stopped has failed', async () => {
    using dir = scratch('threads');
    writeFileSync(dir.file('a'), Buffer.alloc(1000));
    const area = { path: dir.file('a'), offset: 0, size: 1000 };
    const threads = new FileThreads(1);
    const pending = [threads.nonZero(area), threads.nonZero(area)];
    const settled = Promise.allSettled(pending);
    await threads[Symbol.asyncDispose]();
    for (const { status } of await settled) assert.equal(status, 'rejected');
    await assert.rejects(threads.nonZero(area), /stopped/);
  });
});
