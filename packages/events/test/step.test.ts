import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OsguardEvent } from '@osguard/events';
import { DiagnosticsError, OsguardError, step } from '@osguard/events';

function recorder(): { events: OsguardEvent[]; now: () => number } {
  let clock = 0;
  return { events: [], now: () => (clock += 5) };
}

test('a step reports its begin, progress, detail and time', async () => {
  const { events, now } = recorder();
  const value = await step(
    (event) => events.push(event),
    { id: 'hash', title: 'hash /usr', now },
    (report) => {
      report.progress({ done: 1, total: 2, unit: 'blocks' });
      report.detail('2 blocks');
      return 42;
    },
  );
  assert.equal(value, 42);
  assert.deepEqual(events, [
    { type: 'step', state: 'started', id: 'hash', title: 'hash /usr' },
    { type: 'progress', id: 'hash', done: 1, total: 2, unit: 'blocks' },
    { type: 'step', state: 'done', id: 'hash', title: 'hash /usr', milliseconds: 5, detail: '2 blocks' },
  ]);
});

test('a failing step says so and throws on; an aborted one is cancelled', async () => {
  const states: string[] = [];
  const sink = (event: OsguardEvent): void => {
    if (event.type === 'step') states.push(event.state);
  };
  await assert.rejects(
    step(sink, { id: 'a', title: 'a' }, () => Promise.reject(new Error('no'))),
    /no/,
  );
  const signal = AbortSignal.abort();
  await assert.rejects(step(sink, { id: 'b', title: 'b' }, () => signal.throwIfAborted()));
  assert.deepEqual(states, ['started', 'failed', 'started', 'cancelled']);
});

test('errors carry code, hint and exit code', () => {
  const missing = new OsguardError('missing-tool', 'qemu is not installed', {
    exitCode: 3,
    hint: 'apt install',
  });
  assert.equal(missing.exitCode, 3);
  assert.equal(new OsguardError('x', 'y').exitCode, 2);
  const several = new DiagnosticsError('2 mistakes', [{ severity: 'error', code: 'a', message: 'b' }]);
  assert.equal(several.exitCode, 2);
  assert.equal(several.code, 'diagnostics');
});
