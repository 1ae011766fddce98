import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHash } from 'node:crypto';
import type { EvidenceMessage, ReasonCode } from '@osguard/attest/protocol';
import { evidenceQualifyingData } from '@osguard/attest/protocol';
import { runAgent } from '../src/attest/agent.ts';
import type { Machine } from '../src/attest/machine.ts';
import type { NodeStatus } from '../src/attest/status.ts';
import type { Verdict, Verifier } from '../src/attest/verifier.ts';
import { NodeError } from '../src/error.ts';
import { createLog } from '../src/log.ts';

const ek = new Uint8Array([1, 2, 3]);
const node = createHash('sha256').update(ek).digest('hex');
const nonce = Buffer.alloc(32, 7);

const refusal = (reason: ReasonCode): NodeError =>
  new NodeError('verifier', `no: ${reason}`, { data: { reason } });
const unreachable = new NodeError('verifier', 'cannot be reached');

const trusted: Verdict = {
  verdict: 'trusted',
  checks: [],
  token: 'a.b.c',
  secrets: ['join-token'],
  expires: '2026-11-22T10:00:00.000Z',
  lifetime: 600,
};
const refused: Verdict = {
  verdict: 'refused',
  checks: [
    { id: 'pcr-12', ok: false, message: 'PCR 12 differs', expected: 'aa', found: 'bb', where: 'release 1.0' },
    { id: 'nonce', ok: true, message: 'fresh' },
  ],
  token: null,
  secrets: [],
  expires: null,
  lifetime: 0,
};

/** What the verifier answers to each proof in turn; an error is thrown. */
type Script = readonly (Verdict | Error)[];

interface Outcome {
  readonly waits: readonly number[];
  /** After every attempt: names of the secrets on disk. */
  readonly kept: readonly string[][];
  readonly states: readonly NodeStatus[];
  readonly lines: readonly string[];
  readonly evidence: readonly EvidenceMessage[];
  readonly enrolments: number;
}

interface Play {
  readonly script: Script;
  readonly enrolment?: Error;
  /** Called at each wait with the alarm that would ring. */
  readonly onWait?: (turn: number, ring: (() => void) | undefined) => void;
  readonly userspace?: () => string;
  /** Why a secret is not given at this turn. */
  readonly secret?: (
    name: string,
    at: { readonly turn: number; readonly ring: () => void },
  ) => Error | undefined;
  readonly random?: number;
}

async function play({ script, enrolment, onWait, userspace, secret, random = 0.5 }: Play): Promise<Outcome> {
  const waits: number[] = [];
  const kept: string[][] = [];
  const states: NodeStatus[] = [];
  const lines: string[] = [];
  const evidence: EvidenceMessage[] = [];
  let enrolments = 0;
  let proofs = 0;
  let onDisk: string[] = [];
  let ring: (() => void) | undefined;
  const stop = new AbortController();
  const machine: Machine = {
    name: 'host',
    keys: async () => ({ ek, ekCertificates: [], ak: new Uint8Array([4]) }),
    activate: async () => new Uint8Array([9]),
    quote: async ({ pcrs, qualifyingData }) => ({
      attest: qualifyingData,
      signature: new Uint8Array([5]),
      values: new Map(pcrs.map((pcr) => [pcr, new Uint8Array(32)])),
    }),
    logs: async () => ({ firmware: new Uint8Array([8]), userspace: userspace?.() ?? '' }),
  };
  const verifier: Verifier = {
    enrol: async () => {
      enrolments += 1;
      if (enrolment !== undefined) throw enrolment;
      return { enrolment: 'e', credential: '', secret: '', expires: '' };
    },
    activate: async () => ({ node }),
    nonce: async () => ({ nonce: nonce.toString('base64'), expires: '', pcrs: [4, 11] }),
    prove: async (message) => {
      evidence.push(message);
      const answer = script[proofs];
      proofs += 1;
      if (answer instanceof Error) throw answer;
      assert.ok(answer);
      return answer;
    },
    secret: async (name) => {
      const failure = secret?.(name, { turn: waits.length, ring: () => ring?.() });
      if (failure !== undefined) throw failure;
      return Buffer.from(`secret ${name}`);
    },
    [Symbol.dispose]: () => undefined,
  };
  await runAgent({
    machine,
    connect: () => verifier,
    keep: {
      only: (names) => (onDisk = onDisk.filter((name) => names.includes(name))),
      secret: (name) => (onDisk = [...onDisk.filter((each) => each !== name), name]),
      status: (status) => states.push(status),
    },
    log: createLog((line) => lines.push(line)),
    clock: {
      wall: () => 0,
      alarm: (_seconds, act) => {
        ring = act;
        return () => (ring = undefined);
      },
      wait: async (seconds) => {
        onWait?.(waits.length, ring);
        waits.push(seconds);
        kept.push(onDisk);
        if (proofs >= script.length || waits.length > 20) stop.abort();
      },
    },
    random: () => random,
    verifier: 'https://verifier',
    interval: 300,
    version: '0',
    signal: stop.signal,
  });
  assert.deepEqual(onDisk, [], 'nothing is left after the end');
  return { waits, kept, states, lines, evidence, enrolments };
}

test('a trusted node keeps its secrets, a refused one loses them at once', async () => {
  const { kept, states, lines } = await play({ script: [trusted, refused, trusted] });
  assert.deepEqual(kept, [['join-token'], [], ['join-token']]);
  assert.deepEqual(
    states.map(({ state }) => state),
    ['unproven', 'trusted', 'refused', 'trusted', 'unproven'],
  );
  assert.ok(
    lines.some((line) => line.includes('pcr-12: PCR 12 differs; expected aa; found bb; at release 1.0')),
  );
  assert.ok(!lines.some((line) => line.includes('nonce: fresh')));
});

test('the quote is made over the nonce and the TLS key of a channel of its own', async () => {
  const { evidence } = await play({ script: [trusted, trusted] });
  for (const { quote, tlsKey, pcrs } of evidence) {
    const expected = evidenceQualifyingData({ nonce, tlsKey: Buffer.from(tlsKey, 'base64') });
    assert.equal(quote, Buffer.from(expected).toString('base64'));
    assert.deepEqual(Object.keys(pcrs.sha256), ['4', '11']);
  }
  assert.notEqual(evidence[0]?.tlsKey, evidence[1]?.tlsKey);
});

test('an unknown node enrols and proves again', async () => {
  const { enrolments, kept } = await play({ script: [refusal('unknown-node'), trusted] });
  assert.equal(enrolments, 1);
  assert.deepEqual(kept, [['join-token']]);
});

test('losing the verifier ends trust when the verdict runs out, not before', async () => {
  const { kept, states } = await play({
    script: [trusted, unreachable, unreachable, trusted],
    onWait: (turn, ring) => {
      if (turn === 2) ring?.();
    },
  });
  assert.deepEqual(kept, [['join-token'], ['join-token'], [], ['join-token']]);
  assert.ok(states.some(({ state, problem }) => state === 'unproven' && problem === 'cannot be reached'));
});

for (const reason of [
  'unknown-node',
  'evidence-refused',
  'reenrolment-needed',
  'endorsement-refused',
] as const) {
  test(`trust ends when the verifier says ${reason}`, async () => {
    const { kept, states } = await play({
      script: [trusted, refusal(reason), trusted],
      enrolment: refusal('reenrolment-needed'),
    });
    assert.deepEqual(kept, [['join-token'], [], ['join-token']]);
    assert.ok(states.some(({ state }) => state === 'waiting'));
  });
}

for (const reason of ['busy', 'unavailable', 'rate-limited', 'nonce-refused', 'internal'] as const) {
  test(`${reason} says nothing about the node`, async () => {
    const { kept } = await play({ script: [trusted, refusal(reason), trusted] });
    assert.deepEqual(kept, [['join-token'], ['join-token'], ['join-token']]);
  });
}

test('it waits longer after each failure, never longer than a minute, and begins anew', async () => {
  const failures = Array.from({ length: 9 }, () => unreachable);
  const { waits } = await play({ script: [...failures, trusted, unreachable, trusted], random: 1 });
  assert.deepEqual(waits.slice(0, 9), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  assert.equal(waits[10], 1);
});

test('a verdict is renewed before it runs out, whatever the interval', async () => {
  const { waits } = await play({ script: [{ ...trusted, lifetime: 40 }] });
  assert.deepEqual(waits, [30]);
});

test('the same failure is said once', async () => {
  const { lines } = await play({ script: [unreachable, unreachable, unreachable, trusted] });
  assert.equal(
    lines.filter((line) => line.startsWith('<4>') && line.includes('cannot be reached')).length,
    1,
  );
});

test('a machine that goes on measuring gives no evidence', async () => {
  let count = 0;
  const { lines, evidence } = await play({ script: [trusted], userspace: () => String((count += 1)) });
  assert.equal(evidence.length, 0);
  assert.ok(lines.some((line) => line.includes('did not stop measuring')));
});

test('an event measured between quote and log makes it quote again', async () => {
  let count = 0;
  const { evidence } = await play({
    script: [trusted],
    userspace: () => ((count += 1) < 3 ? String(count) : 'end'),
  });
  assert.equal(evidence[0]?.userspaceLog, 'end');
});

const two: Verdict = { ...trusted, secrets: ['join-token', 'registry.json'] };

test('one secret that cannot be had does not take the others away, and is asked for again soon', async () => {
  const { kept, waits, states, lines } = await play({
    script: [two, two, two],
    random: 1,
    secret: (name, { turn }) => (name === 'join-token' && turn < 2 ? refusal('internal') : undefined),
  });
  assert.deepEqual(kept, [['registry.json'], ['registry.json'], ['join-token', 'registry.json']]);
  assert.deepEqual(waits, [1, 2, 270]);
  const [, first, , third] = states;
  assert.equal(first?.state, 'trusted');
  assert.deepEqual(first.missing, [{ name: 'join-token', problem: 'no: internal' }]);
  assert.deepEqual([third?.missing, third?.secrets], [[], ['join-token', 'registry.json']]);
  assert.equal(lines.filter((line) => line.includes('secret join-token is missing')).length, 1);
});

test('a secret of before stays while the verifier cannot be reached, and goes when it is no longer given', async () => {
  const { kept } = await play({
    script: [two, two, two, { ...two, secrets: ['registry.json'] }],
    secret: (name, { turn }) => {
      if (turn === 1) return unreachable;
      return turn === 2 && name === 'join-token' ? refusal('not-found') : undefined;
    },
  });
  assert.deepEqual(kept, [
    ['join-token', 'registry.json'],
    ['join-token', 'registry.json'],
    ['registry.json'],
    ['registry.json'],
  ]);
});

test('after one that does not answer the others are not waited for', async () => {
  const asked: string[] = [];
  await play({ script: [two], secret: (name) => (asked.push(name), unreachable) });
  assert.deepEqual(asked, ['join-token']);
});

test('a verdict that runs out while secrets are fetched leaves none', async () => {
  const { kept, states } = await play({
    script: [two],
    secret: (name, { ring }) => void (name === 'registry.json' && ring()),
  });
  assert.deepEqual(kept, [[]]);
  assert.equal(states.at(-2)?.state, 'unproven');
});

test('a verdict that is taken back while secrets are fetched leaves none', async () => {
  const { kept } = await play({
    script: [two],
    secret: (name) => (name === 'registry.json' ? refusal('not-trusted') : undefined),
  });
  assert.deepEqual(kept[0], []);
});
