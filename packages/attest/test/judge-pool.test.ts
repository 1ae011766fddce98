/** Judging threads that end: what was asked of them fails, others take over, and nothing is tried in a tight circle. */

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { openJudgePool } from '../src/service/judge/pool.ts';
import type { Judge, JudgePoolOptions } from '../src/service/judge/pool.ts';
import type { JudgeRequest, JudgeSettings } from '../src/service/index.ts';
import { goodPolicy, node } from '../negative/model/baseline.ts';

const settings = (namedCurve = 'P-256'): JudgeSettings => ({
  policy: goodPolicy(),
  releases: [],
  tokenKey: generateKeyPairSync('ec', { namedCurve }).privateKey,
  issuer: 'https://verifier.example',
  build: 'test',
});

const request = (): JudgeRequest => ({
  evidence: new Uint8Array(8),
  node: { node, ek: new Uint8Array(), ak: new Uint8Array(), akName: '', state: 'enrolled' },
  nonce: { nonce: new Uint8Array(32), node, purpose: 'evidence', issued: 0, expires: 1 },
  channelKey: new Uint8Array(),
  endorsement: 'certificate',
  now: 0,
});

interface Ended {
  readonly message: string;
  readonly inMilliseconds: number;
}

async function withPool(
  first: JudgeSettings,
  options: JudgePoolOptions,
  body: (judge: Judge, ended: readonly Ended[]) => Promise<void>,
): Promise<void> {
  const ended: Ended[] = [];
  const judge = openJudgePool(first, {
    threads: 1,
    ...options,
    onEnd: (error, { inMilliseconds }) => ended.push({ message: String(error), inMilliseconds }),
  });
  try {
    await body(judge, ended);
  } finally {
    await judge.close();
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 600 && !condition(); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.ok(condition());
}

void test('settings nobody can judge by: fewer and fewer tries, not ready, and no verdict', async () => {
  const restart = { first: 40, most: 160 };
  await withPool(settings('P-384'), { restart }, async (judge, ended) => {
    await until(() => ended.length >= 4);
    assert.deepEqual(
      ended.slice(0, 4).map(({ inMilliseconds }) => inMilliseconds),
      [40, 80, 160, 160],
    );
    assert.match(ended[0]?.message ?? '', /P-256/);
    assert.equal(judge.ready, false);
    await assert.rejects(judge.judge(request()), ({ reason }: { reason: string }) =>
      ['unavailable', 'internal'].includes(reason),
    );
    // Settings that are sound again mend it.
    judge.configure(settings());
    await until(() => judge.ready);
    const { verdict } = await judge.judge(request());
    assert.equal(verdict.reason, 'evidence-format');
  });
});

void test('what ends a thread that could judge costs one pause, however often', async () => {
  const fragile = new URL(
    `data:text/javascript,${encodeURIComponent(`
      import { parentPort } from 'node:worker_threads';
      parentPort.on('message', ({ type }) => {
        if (type === 'settings') parentPort.postMessage({ type: 'prepared' });
        else throw new Error('hostile evidence');
      });`)}`,
  );
  const restart = { first: 20, most: 10_000 };
  await withPool(settings(), { restart, program: fragile }, async (judge, ended) => {
    for (let count = 1; count <= 4; count += 1) {
      await until(() => judge.ready);
      await assert.rejects(judge.judge(request()), { reason: 'internal' });
      assert.equal(ended.length, count);
    }
    assert.deepEqual(
      ended.map(({ inMilliseconds }) => inMilliseconds),
      [20, 20, 20, 20],
    );
  });
});
