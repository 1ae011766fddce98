import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedWork } from '../src/snapshotter/shared-work.ts';

/** Ends when it is told to, or when it is aborted. */
function slowWork(): {
  readonly starts: () => number;
  readonly aborts: () => number;
  readonly finish: (value: string) => void;
  readonly work: (signal: AbortSignal) => Promise<string>;
} {
  let [starts, aborts] = [0, 0];
  let finish: ((value: string) => void) | undefined;
  return {
    starts: () => starts,
    aborts: () => aborts,
    finish: (value) => finish?.(value),
    work: (signal) => {
      starts += 1;
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      finish = resolve;
      signal.addEventListener('abort', () => {
        aborts += 1;
        // Winding up takes a while.
        setTimeout(() => reject(signal.reason), 20);
      });
      return promise;
    },
  };
}

void test('who goes away ends the work only for himself', async () => {
  const shared = new SharedWork<string>();
  const { work, starts, aborts, finish } = slowWork();
  const first = new AbortController();
  const one = shared.run('layer', { work, signal: first.signal });
  const two = shared.run('layer', { work });
  first.abort(new Error('gone'));
  await assert.rejects(one, /gone/);
  finish('done');
  assert.equal(await two, 'done');
  assert.deepEqual([starts(), aborts()], [1, 0]);
});

void test('when all have gone it ends, and who comes then gets work of his own', async () => {
  const shared = new SharedWork<string>();
  const { work, starts, aborts, finish } = slowWork();
  const gone = [new AbortController(), new AbortController()];
  const waiting = gone.map(({ signal }) => shared.run('layer', { work, signal }));
  for (const each of gone) each.abort(new Error('gone'));
  const late = shared.run('layer', { work });
  const refused = waiting.map((each) => assert.rejects(each, /gone/));
  await Promise.all(refused);
  assert.deepEqual([starts(), aborts()], [1, 1], 'not before the first has wound up');
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(starts(), 2);
  finish('again');
  assert.equal(await late, 'again');
});

void test('who has gone before it began starts nothing', async () => {
  const { work, starts } = slowWork();
  const signal = AbortSignal.abort(new Error('gone'));
  await assert.rejects(new SharedWork<string>().run('layer', { work, signal }), /gone/);
  assert.equal(starts(), 0);
});

void test('a failure is told to everybody, and the next caller tries again', async () => {
  const shared = new SharedWork<string>();
  let tries = 0;
  const work = async (): Promise<string> => {
    tries += 1;
    await Promise.resolve();
    if (tries === 1) throw new Error('no');
    return 'yes';
  };
  const both = [shared.run('layer', { work }), shared.run('layer', { work })];
  for (const each of both) await assert.rejects(each, /no/);
  assert.equal(await shared.run('layer', { work }), 'yes');
});
