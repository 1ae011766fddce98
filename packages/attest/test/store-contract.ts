/** What every store has to do. Run on each implementation. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decisionHash, genesis } from '../src/store/index.ts';
import type { NewNode, NonceLimits, Store, StoredRelease, VerdictRecord } from '../src/store/index.ts';

const now = Date.UTC(2026, 10, 22, 12);
const minute = 60_000;

const idOf = (number: number): string => number.toString(16).padStart(64, '0');
const nonceOf = (number: number): string => {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(number);
  return bytes.toString('base64');
};

function newNode(number: number, change: Partial<NewNode> = {}): NewNode {
  return {
    id: idOf(number),
    name: `node-${number}`,
    ek: Uint8Array.of(1, number),
    ak: Uint8Array.of(2, number),
    akName: `000b${idOf(number)}`,
    endorsement: 'test',
    now,
    ...change,
  };
}

function verdictOf(number: number, change: Partial<VerdictRecord> = {}): VerdictRecord {
  return {
    nonce: nonceOf(number),
    node: idOf(number),
    akName: `000b${idOf(number)}`,
    verdict: 'trusted',
    at: now,
    expires: now + 10 * minute,
    release: 'r1',
    reason: null,
    checks: [],
    clock: { clock: '18446744073709551615', resetCount: 1, restartCount: 2 },
    version: '1',
    rules: 'rules-1',
    tlsKey: idOf(number + 1000),
    agent: '1',
    data: { verdict: 'trusted' },
    ...change,
  };
}

function newRelease(id: string, change: Partial<StoredRelease> = {}): StoredRelease {
  return {
    id,
    name: 'host',
    version: '1',
    state: 'promoted',
    from: null,
    until: null,
    added: now,
    changed: now,
    manifest: Uint8Array.of(1, 2, 3),
    referenceValues: Uint8Array.of(4),
    ...change,
  };
}

const minutes = (count: number): string => String(count * minute);
const quoted = (clock: string, change: object = {}): Partial<VerdictRecord> => ({
  clock: { clock, resetCount: 5, restartCount: 0, ...change },
});

const nonce = (number: number): Parameters<Store['nonces']['add']>[0] => ({
  nonce: nonceOf(number),
  node: idOf(number),
  purpose: 'evidence',
  issued: now,
  expires: now + minute,
});
const trusted = async (store: Store, number: number, change: Partial<VerdictRecord> = {}): Promise<void> => {
  await store.nodes.enrol(newNode(number));
  await store.nonces.add(nonce(number), from(4));
  assert.equal(await store.evidence.record(verdictOf(number, change)), 'recorded');
};
const trustOf = async (store: Store, number: number, at = now): Promise<string | undefined> =>
  (await store.nodes.detail(idOf(number), at))?.trust;

const chainDecision = (index: number) => ({
  at: now + index,
  kind: 'test',
  subject: 'ü\u2028',
  actor: 'test',
  change: index % 2 === 0,
  data: { index },
});

const plainDecision = (index: number) => ({
  at: now,
  kind: 'test',
  actor: 'test',
  change: false,
  data: { index },
});

const from = (perAddress: number, address = '10.0.0.1'): NonceLimits => ({ address, perAddress, total: 100 });

export interface StoreContractOptions {
  /** A store without anything in it. */
  readonly fresh: () => Promise<Store>;
  /** Another opening of what `store` is on. */
  readonly again: (store: Store) => Promise<Store>;
  readonly skip?: string | false;
}

export function storeContract(which: string, { fresh, again, skip = false }: StoreContractOptions): void {
  const each = (title: string, body: (store: Store) => Promise<void>): void => {
    void test(`${which}: ${title}`, { skip }, async () => {
      const store = await fresh();
      try {
        await body(store);
      } finally {
        await store.close();
      }
    });
  };
  each('of many who use one nonce at once, one wins', async (store) => {
    const other = await again(store);
    try {
      await store.releases.add(newRelease('r1'), 'test');
      await store.nodes.enrol(newNode(1));
      await store.nonces.add(nonce(1), from(4));
      const tries = Array.from({ length: 16 }, (_, index) =>
        (index % 2 === 0 ? store : other).evidence.record(verdictOf(1)),
      );
      const outcomes = await Promise.all(tries);
      assert.equal(outcomes.filter((outcome) => outcome === 'recorded').length, 1);
      assert.equal(outcomes.filter((outcome) => outcome === 'nonce-gone').length, 15);
      assert.equal(await store.evidence.record(verdictOf(1)), 'nonce-gone');
    } finally {
      // An open store would keep the process from ending.
      await other.close();
    }
  });

  each('a nonce is bound to its node, and outstanding ones are bounded', async (store) => {
    await store.nodes.enrol(newNode(1));
    await store.nodes.enrol(newNode(2));
    assert.equal(await store.nonces.add(nonce(1), from(2)), 'added');
    assert.equal(await store.evidence.record(verdictOf(2, { nonce: nonceOf(1) })), 'nonce-gone');
    assert.equal(await store.nonces.add({ ...nonce(1), nonce: nonceOf(11) }, from(2)), 'added');
    assert.equal(await store.nonces.add({ ...nonce(1), nonce: nonceOf(12) }, from(2)), 'full');
    assert.equal(await store.nonces.add({ ...nonce(1), nonce: nonceOf(14) }, from(2, '10.0.0.2')), 'added');
    assert.equal(
      await store.nonces.add({ ...nonce(1), nonce: nonceOf(15) }, { ...from(9), total: 3 }),
      'full',
    );
    assert.equal(await store.nonces.add({ ...nonce(77), nonce: nonceOf(16) }, from(2)), 'unknown-node');
    const later = { issued: now + 2 * minute, expires: now + 3 * minute };
    assert.equal(await store.nonces.add({ ...nonce(1), ...later, nonce: nonceOf(13) }, from(2)), 'added');
    const context = await store.evidence.context(idOf(1), nonceOf(1));
    assert.equal(context.node?.name, 'node-1');
    assert.deepEqual(context.node?.ek, Uint8Array.of(1, 1));
    assert.deepEqual(context.nonce, nonce(1));
    assert.deepEqual(await store.evidence.context(idOf(9), nonceOf(99)), {});
    await store.sweep(now + 2 * minute);
    assert.equal((await store.evidence.context(idOf(1), nonceOf(1))).nonce, undefined);
  });

  each('a rejected attempt uses the nonce up and leaves the node alone', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await trusted(store, 1);
    await store.nonces.add({ ...nonce(1), nonce: nonceOf(2) }, from(4));
    const decision = { at: now, kind: 'evidence.rejected', actor: 'x', change: false, data: {} };
    assert.equal(await store.evidence.reject(nonceOf(2), decision), 'recorded');
    assert.equal(await store.evidence.record(verdictOf(1, { nonce: nonceOf(2) })), 'nonce-gone');
    assert.equal(await trustOf(store, 1), 'trusted');
  });

  each('a verdict under a key that was replaced meanwhile counts for nothing', async (store) => {
    await store.nodes.enrol(newNode(1));
    await store.nonces.add(nonce(1), from(4));
    assert.equal(await store.evidence.record(verdictOf(1, { akName: 'other' })), 'node-changed');
    assert.equal(await trustOf(store, 1), 'new');
    assert.equal(await store.evidence.record(verdictOf(1)), 'nonce-gone');
  });

  each('trust is worked out from verdict, time, release and state', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await store.nodes.enrol(newNode(2));
    assert.equal(await trustOf(store, 2), 'new');
    await trusted(store, 1);
    assert.equal(await trustOf(store, 1), 'trusted');
    assert.equal(await trustOf(store, 1, now + 10 * minute), 'expired');
    assert.equal(await trustOf(store, 1, now - 60 * minute), 'expired', 'the clock was set back');
    const change = { id: 'r1', from: null, until: null, at: now, actor: 'op' } as const;
    assert.equal(
      await store.releases.change({ ...change, state: 'deprecated', until: now + minute }),
      'changed',
    );
    assert.equal(await trustOf(store, 1), 'trusted');
    assert.equal(await trustOf(store, 1, now + minute), 'release');
    await store.releases.change({ ...change, state: 'promoted', from: now + minute });
    assert.equal(await trustOf(store, 1), 'release');
    await store.releases.change({ ...change, state: 'added' });
    assert.equal(await trustOf(store, 1), 'release');
    await store.releases.change({ ...change, state: 'promoted' });
    assert.equal(await trustOf(store, 1), 'trusted');
    await store.releases.change({ ...change, state: 'revoked' });
    assert.equal(await trustOf(store, 1), 'release');
    await store.releases.change({ ...change, state: 'promoted' });
    await store.nodes.setState(idOf(1), { at: now, actor: 'op', state: 'suspended' });
    assert.equal(await trustOf(store, 1), 'suspended');
    await store.nodes.setState(idOf(1), { at: now, actor: 'op', state: 'enrolled' });
    await store.nonces.add({ ...nonce(1), nonce: nonceOf(5) }, from(4));
    const refused = {
      nonce: nonceOf(5),
      verdict: 'refused',
      expires: null,
      version: null,
      reason: 'pcr',
    } as const;
    await store.evidence.record(verdictOf(1, refused));
    const detail = await store.nodes.detail(idOf(1), now);
    assert.equal(detail?.trust, 'refused');
    assert.equal(detail.reason, 'pcr');
    assert.equal(detail.last?.version, '1', 'a refusal does not erase what ran last');
    assert.equal(await trustOf(store, 77), undefined);
  });

  each('lists page by page, filtered by what trust comes to', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await store.releases.add(newRelease('r2', { version: '2' }), 'test');
    for (let number = 1; number <= 9; number += 1) {
      await trusted(store, number, { release: number % 3 === 0 ? 'r2' : 'r1' });
    }
    const names = async (query: object): Promise<readonly string[]> =>
      (await store.nodes.list({ now, limit: 100, ...query })).map((node) => node.name);
    assert.deepEqual(await names({ limit: 2 }), ['node-1', 'node-2']);
    assert.deepEqual(await names({ limit: 2, after: idOf(2) }), ['node-3', 'node-4']);
    assert.deepEqual(await names({ release: 'r2' }), ['node-3', 'node-6', 'node-9']);
    assert.deepEqual(await names({ name: 'node-4' }), ['node-4']);
    await store.releases.change({
      id: 'r2',
      state: 'revoked',
      from: null,
      until: null,
      at: now,
      actor: 'op',
    });
    assert.deepEqual(await names({ trust: 'release' }), ['node-3', 'node-6', 'node-9']);
    assert.deepEqual(await names({ trust: 'trusted', after: idOf(5), limit: 2 }), ['node-7', 'node-8']);
    assert.deepEqual(await names({ trust: 'new' }), []);
    const [node] = await store.nodes.list({ now, limit: 1 });
    assert.deepEqual(node?.release, { id: 'r1', name: 'host', version: '1' });
    const counts = [...(await store.nodes.counts(now))].sort((a, b) => b.count - a.count);
    assert.deepEqual(counts, [
      { trust: 'trusted', release: 'r1', count: 6 },
      { trust: 'release', release: 'r2', count: 3 },
    ]);
  });

  each('a verdict that was overtaken by an operator or another replica is not stored', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await trusted(store, 1);
    const change = { id: 'r1', from: null, until: null, at: now, actor: 'op' } as const;
    await store.releases.change({ ...change, state: 'revoked' });
    await store.nonces.add({ ...nonce(1), nonce: nonceOf(2) }, from(4));
    assert.equal(await store.evidence.record(verdictOf(1, { nonce: nonceOf(2) })), 'overtaken');
    assert.equal(await store.evidence.record(verdictOf(1, { nonce: nonceOf(2) })), 'nonce-gone');
    await store.releases.change({ ...change, state: 'promoted' });
    await store.nodes.setState(idOf(1), { at: now, actor: 'op', state: 'suspended' });
    await store.nonces.add({ ...nonce(1), nonce: nonceOf(3) }, from(4));
    assert.equal(await store.evidence.record(verdictOf(1, { nonce: nonceOf(3) })), 'overtaken');
  });

  each('of two quotes of a node the newer counts, whoever commits last', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    const other = await again(store);
    let next = 10;
    const record = async (replica: Store, change: Partial<VerdictRecord>): Promise<string> => {
      next += 1;
      await replica.nonces.add({ ...nonce(1), nonce: nonceOf(next) }, from(100));
      return replica.evidence.record(verdictOf(1, { nonce: nonceOf(next), ...change }));
    };
    const refused = { verdict: 'refused', expires: null, version: null, reason: 'pcr-digest' } as const;
    const put = { ...refused, reason: 'node-state', checks: [{ id: 'quote-clock', ok: false, message: '' }] };
    try {
      await trusted(store, 1, quoted(minutes(200)));
      assert.equal(await record(other, { ...quoted(minutes(202)), ...refused }), 'recorded');
      assert.equal(await record(store, quoted(minutes(201))), 'overtaken', 'trusted by an older quote');
      assert.equal(await trustOf(other, 1), 'refused');
      assert.equal(await record(store, { ...quoted(minutes(201)), ...refused }), 'overtaken');
      assert.equal(await record(store, quoted(minutes(300), { resetCount: 4 })), 'overtaken');
      assert.equal(await record(other, quoted(minutes(202))), 'recorded', 'the same moment');
      assert.equal(await record(other, quoted(minutes(100), { resetCount: 6 })), 'overtaken');
      assert.equal(
        await record(other, quoted(minutes(140), { resetCount: 6 })),
        'recorded',
        'power was lost',
      );
      assert.equal(await trustOf(store, 1), 'trusted');
      // That its TPM was put back is what this one says; what was seen before stays.
      assert.equal(await record(other, { ...quoted(minutes(1)), ...put }), 'recorded');
      assert.equal(await trustOf(store, 1), 'refused');
      const last = (await store.nodes.find(idOf(1)))?.last;
      assert.deepEqual(last, { clock: minutes(140), resetCount: 6, restartCount: 0, version: '1' });
    } finally {
      await other.close();
    }
  });

  each('an attestation key is replaced only when an operator allowed it', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await trusted(store, 1);
    assert.equal(await store.nodes.enrol(newNode(1)), 'enrolled', 'the same key enrols as often as it likes');
    const other = newNode(1, { akName: 'new', ak: Uint8Array.of(9) });
    assert.equal(await store.nodes.enrol(other), 'reenrolment-needed');
    const act = { at: now, actor: 'op', until: now + minute };
    assert.equal(await store.nodes.allowReenrolment(idOf(1), act), true);
    assert.equal(await store.nodes.enrol({ ...other, now: now + minute }), 'reenrolment-needed', 'too late');
    assert.equal(await store.nodes.enrol(other), 'enrolled');
    const detail = await store.nodes.detail(idOf(1), now);
    assert.equal(detail?.trust, 'new');
    assert.equal(detail.last, null);
    assert.equal(await store.nodes.enrol(newNode(1)), 'reenrolment-needed', 'allowed once');
    assert.equal(await store.nodes.allowReenrolment(idOf(7), act), false);
    assert.equal(await store.nodes.remove(idOf(1), act), true);
    assert.equal(await store.nodes.find(idOf(1)), undefined);
  });

  each('enrolments are bounded, and there is one try', async (store) => {
    const enrolment = (id: string, address: string, expires = now + minute) => ({
      ...newNode(1),
      ekCertificates: [Uint8Array.of(3, 0xff)],
      id,
      node: idOf(1),
      secretHash: idOf(3),
      address,
      expires,
    });
    const limits = { now, total: 3, perAddress: 2 };
    assert.equal(await store.enrolments.add(enrolment('a', '10.0.0.1'), limits), 'added');
    assert.equal(await store.enrolments.add(enrolment('b', '10.0.0.1'), limits), 'added');
    assert.equal(await store.enrolments.add(enrolment('c', '10.0.0.1'), limits), 'full');
    assert.equal(await store.enrolments.add(enrolment('c', '10.0.0.2'), limits), 'added');
    assert.equal(await store.enrolments.add(enrolment('d', '10.0.0.3'), limits), 'full');
    const later = { ...limits, now: now + 2 * minute };
    assert.equal(await store.enrolments.add(enrolment('d', '10.0.0.3', now + 3 * minute), later), 'added');
    assert.equal(await store.enrolments.take('a'), undefined, 'expired ones make room');
    const taken = await Promise.all([1, 2, 3].map(async () => store.enrolments.take('d')));
    assert.equal(taken.filter((one) => one !== undefined).length, 1);
    const found = taken.find((one) => one !== undefined);
    assert.deepEqual(found?.ak, Uint8Array.of(2, 1));
  });

  each('applicants wait in a bounded list until an operator approves', async (store) => {
    const applicant = (number: number, at = now) => ({
      node: idOf(number),
      name: `n${number}`,
      address: '10.0.0.1',
      first: at,
      at,
      attempts: 1,
      checks: [{ id: 'ek', ok: false, message: 'no' }],
    });
    for (let number = 1; number <= 4; number += 1) await store.enrolments.apply(applicant(number), 3);
    await store.enrolments.apply(applicant(1, now + minute), 3);
    const list = await store.enrolments.applicants();
    assert.deepEqual(list.map(({ name, attempts }) => [name, attempts])[0], ['n1', 2]);
    assert.equal(list.length, 3);
    assert.equal(list[0]?.first, now);
    assert.equal(await store.enrolments.isApproved(idOf(1)), false);
    assert.equal(await store.enrolments.approve(idOf(1), { at: now, actor: 'op' }), 'approved');
    assert.equal(await store.enrolments.approve(idOf(1), { at: now, actor: 'op' }), 'already');
    assert.equal(await store.enrolments.isApproved(idOf(1)), true);
    assert.equal((await store.enrolments.applicants()).length, 2);
    assert.equal(
      await store.nodes.remove(idOf(1), { at: now, actor: 'op' }),
      true,
      'an approval can be taken back',
    );
    assert.equal(await store.enrolments.isApproved(idOf(1)), false);
    assert.equal(await store.nodes.remove(idOf(1), { at: now, actor: 'op' }), false);
  });

  each('a secret goes to a trusted TLS key only, and each time is recorded', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await trusted(store, 1);
    const secret = { name: 'join', size: 3, set: now, by: 'op', sealed: Uint8Array.of(7, 8, 9) };
    await store.secrets.set({ ...secret, scope: 'everyone' });
    const request = { name: 'join', tlsKey: idOf(1001), now, address: '10.0.0.1' };
    const before = await store.decisions.head();
    const answer = await store.secrets.release(request);
    assert.deepEqual(answer, {
      outcome: 'released',
      node: idOf(1),
      expires: now + 10 * minute,
      sealed: Uint8Array.of(7, 8, 9),
    });
    assert.equal((await store.decisions.head()).seq, before.seq + 1);
    assert.deepEqual(await store.secrets.release({ ...request, name: 'x' }), { outcome: 'not-found' });
    assert.deepEqual(await store.secrets.release({ ...request, tlsKey: idOf(5) }), {
      outcome: 'not-trusted',
    });
    const late = { ...request, now: now + 10 * minute };
    assert.deepEqual(await store.secrets.release(late), { outcome: 'not-trusted' });
    await store.releases.change({
      id: 'r1',
      state: 'revoked',
      from: null,
      until: null,
      at: now,
      actor: 'op',
    });
    assert.deepEqual(await store.secrets.release(request), { outcome: 'not-trusted' });
    await store.secrets.set({ ...secret, size: 1, sealed: Uint8Array.of(1), scope: 'everyone' });
    assert.deepEqual(
      (await store.secrets.list()).map(({ size }) => size),
      [1],
    );
    assert.equal(await store.secrets.remove('join', { at: now, actor: 'op' }), true);
    assert.equal(await store.secrets.remove('join', { at: now, actor: 'op' }), false);
  });

  each('a secret goes to nodes in its scope', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await trusted(store, 1);
    assert.equal(await store.nodes.setLabels(idOf(1), { at: now, actor: 'op', labels: ['web'] }), true);
    assert.equal(await store.nodes.setLabels(idOf(9), { at: now, actor: 'op', labels: [] }), false);
    const none = { nodes: [], labels: [], releases: [] };
    const request = { name: 'join', tlsKey: idOf(1001), now, address: '10.0.0.1' };
    for (const [scope, outcome] of [
      [{ ...none, nodes: [idOf(1)] }, 'released'],
      [{ ...none, nodes: [idOf(2)] }, 'out-of-scope'],
      [{ ...none, nodes: [idOf(2)], labels: ['db', 'web'] }, 'released'],
      [{ ...none, labels: ['db'] }, 'out-of-scope'],
      [{ ...none, releases: ['host'] }, 'released'],
      [{ ...none, releases: ['host@1'] }, 'released'],
      [{ ...none, releases: ['r1'] }, 'released'],
      [{ ...none, releases: ['host@2', 'other'] }, 'out-of-scope'],
      [{ ...none, labels: ['web'], releases: ['host@2'] }, 'out-of-scope'],
      [{ ...none, labels: ['db'], releases: ['host'] }, 'out-of-scope'],
      ['everyone', 'released'],
    ] as const) {
      await store.secrets.set({ name: 'join', size: 1, set: now, by: 'op', sealed: Uint8Array.of(7), scope });
      const before = (await store.decisions.head()).seq;
      assert.equal((await store.secrets.release(request)).outcome, outcome, JSON.stringify(scope));
      assert.equal((await store.decisions.head()).seq - before, outcome === 'released' ? 1 : 0);
      assert.deepEqual((await store.secrets.list())[0]?.scope, scope);
    }
  });

  each('a policy ends verdicts by their rules, by their release and by their age', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await store.releases.add(newRelease('r2'), 'test');
    await trusted(store, 1, { rules: 'a' });
    await trusted(store, 2, { rules: 'b' });
    await trusted(store, 3, { rules: 'a', release: 'r2' });
    const trust = async (): Promise<readonly unknown[]> =>
      Promise.all([1, 2, 3].map(async (number) => trustOf(store, number)));
    const change = {
      rules: 'text of a',
      endedRules: [],
      endedReleases: [],
      lifetime: 600_000,
      at: now,
      data: {},
    };
    assert.equal(await store.policy.load({ ...change, digest: 'a' }), 0);
    assert.deepEqual(await trust(), ['trusted', 'trusted', 'trusted']);
    const known = [...(await store.policy.rules())].sort((one, other) =>
      String(one.digest) < String(other.digest) ? -1 : 1,
    );
    assert.deepEqual(known, [
      { digest: 'a', rules: 'text of a' },
      { digest: 'b', rules: null },
    ]);
    assert.equal(await store.policy.load({ ...change, digest: 'a', endedReleases: ['r2', 'r3'] }), 1);
    assert.deepEqual(await trust(), ['trusted', 'trusted', 'expired']);
    assert.equal(await store.policy.load({ ...change, digest: 'a', endedRules: ['b', null] }), 1);
    assert.deepEqual(await trust(), ['trusted', 'expired', 'expired']);
    await store.policy.load({ ...change, digest: 'a', lifetime: minute });
    assert.equal(await trustOf(store, 1, now + minute - 1), 'trusted');
    assert.equal(await trustOf(store, 1, now + minute), 'expired');
    const last = (await store.decisions.list({ after: 0, limit: 100 })).at(-1);
    const { kind, data } = JSON.parse(last?.body ?? '') as { kind: string; data: object };
    assert.deepEqual({ kind, data }, { kind: 'policy.loaded', data: { rules: 'a', verdictsEnded: 0 } });
    assert.equal(await store.policy.mark('x'), undefined);
    await store.policy.setMark('x', '1');
    await store.policy.setMark('x', '2');
    assert.equal(await store.policy.mark('x'), '2');
  });

  each(
    'a node nobody vouches for is out until somebody does; a suspended one stays suspended',
    async (store) => {
      await store.releases.add(newRelease('r1'), 'test');
      const chain = [Uint8Array.of(1, 2, 3), Uint8Array.of(0xff)];
      await trusted(store, 1);
      assert.equal((await store.nodes.endorsement(idOf(1)))?.ekCertificates, undefined);
      await store.nodes.enrol(newNode(1, { ekCertificates: chain }));
      await store.nodes.enrol(newNode(2));
      await store.enrolments.approve(idOf(2), { at: now, actor: 'op' });
      const [first, second, ...more] = await store.nodes.endorsements({ after: '', limit: 10 });
      assert.deepEqual(first, {
        id: idOf(1),
        state: 'enrolled',
        enrolled: now,
        ekCertificates: chain,
        endorsement: 'test',
        approved: false,
      });
      assert.equal(second?.approved, true);
      assert.deepEqual(more, []);
      assert.deepEqual(await store.nodes.endorsements({ after: idOf(2), limit: 10 }), []);
      const act = { at: now, actor: 'policy' };
      assert.equal(await store.nodes.setEndorsed(idOf(1), { ...act, problem: 'ek-certificate-path' }), true);
      assert.equal(await store.nodes.setEndorsed(idOf(1), { ...act, problem: 'ek-certificate-path' }), false);
      assert.equal(await trustOf(store, 1), 'suspended');
      assert.equal((await store.nodes.find(idOf(1)))?.state, 'unendorsed');
      await store.nonces.add({ ...nonce(1), nonce: nonceOf(7) }, from(4));
      assert.equal(await store.evidence.record(verdictOf(1, { nonce: nonceOf(7) })), 'overtaken');
      assert.equal(await store.nodes.setEndorsed(idOf(1), { ...act, problem: null }), true);
      assert.equal(await trustOf(store, 1), 'trusted');
      await store.nodes.setState(idOf(1), { ...act, state: 'suspended' });
      assert.equal(await store.nodes.setEndorsed(idOf(1), { ...act, problem: 'ek-certificate-path' }), false);
      assert.equal(await store.nodes.setEndorsed(idOf(1), { ...act, problem: null }), false);
      assert.equal((await store.nodes.find(idOf(1)))?.state, 'suspended');
      await store.nodes.setState(idOf(1), { ...act, state: 'enrolled' });
      await store.nodes.setEndorsed(idOf(1), { ...act, problem: 'ek-certificate-path' });
      await store.nodes.enrol(newNode(1, { ekCertificates: chain }));
      assert.equal((await store.nodes.find(idOf(1)))?.state, 'enrolled', 'it was let in again');
    },
  );

  each('releases are added once and found whole', async (store) => {
    const revision = await store.releases.revision();
    assert.equal(await store.releases.add(newRelease('r1'), 'op'), 'added');
    assert.equal(await store.releases.add(newRelease('r1', { state: 'revoked' }), 'op'), 'already');
    assert.ok((await store.releases.revision()) > revision);
    assert.deepEqual(await store.releases.find('r1'), newRelease('r1'));
    assert.equal(await store.releases.find('r2'), undefined);
    const change = { id: 'r1', state: 'promoted', from: null, until: null, at: now, actor: 'op' } as const;
    assert.equal(await store.releases.change(change), 'unchanged');
    assert.equal(await store.releases.change({ ...change, id: 'r2' }), 'not-found');
  });

  each('tokens are found by their hash until they are removed', async (store) => {
    const token = { id: 't1', name: 'ci', role: 'operator', created: now, expires: null } as const;
    await store.tokens.add({ ...token, hash: 'h1' }, 'op');
    assert.deepEqual(await store.tokens.find('h1'), token);
    assert.equal(await store.tokens.find('h2'), undefined);
    assert.equal(await store.tokens.remove('t1', { at: now, actor: 'op' }), true);
    assert.equal(await store.tokens.find('h1'), undefined);
    assert.deepEqual(await store.tokens.list(), []);
  });

  each('decisions are one chain, whoever writes and however many at once', async (store) => {
    const other = await again(store);
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? store : other).decisions.append(chainDecision(index)),
      ),
    );
    const all = await other.decisions.list({ after: 0, limit: 1000 });
    let previous = genesis;
    for (const [index, { seq, body, hash }] of all.entries()) {
      assert.equal(seq, index + 1);
      assert.equal((JSON.parse(body) as { previous: string }).previous, previous);
      assert.equal(decisionHash(body), hash);
      previous = hash;
    }
    assert.equal(all.length, 40);
    assert.deepEqual(await store.decisions.head(), { seq: 40, hash: previous });
    const changes = await store.decisions.list({ after: 10, limit: 3, changes: true });
    assert.ok(changes.every(({ change, seq }) => change && seq > 10));
    assert.equal(changes.length, 3);
    await other.close();
  });

  each('a write that fails takes no other one with it', async (store) => {
    const results = await Promise.allSettled([
      store.decisions.append(plainDecision(1)),
      store.decisions.append({ ...plainDecision(2), data: { broken: 0.5 } }),
      store.decisions.append(plainDecision(3)),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal((await store.decisions.head()).seq, 2);
  });

  each('a webhook is worked on by one at a time and keeps its place', async (store) => {
    const other = await again(store);
    const hook = {
      id: 'w1',
      url: 'https://x/',
      cursor: 0,
      attempts: 0,
      nextAt: 0,
      lastError: null,
      created: now,
    };
    const claim = async (lease: string, at = now, by = store) =>
      by.webhooks.claim({ now: at, until: at + minute, lease });
    await store.webhooks.add({ ...hook, sealed: Uint8Array.of(5) }, 'op');
    assert.equal(await claim('a'), undefined, 'nothing to deliver');
    await store.decisions.append({ at: now, kind: 'test', actor: 'x', change: true, data: {} });
    const claims = await Promise.all([
      claim('a'),
      claim('b', now, other),
      claim('c'),
      claim('d', now, other),
    ]);
    assert.equal(claims.filter((one) => one !== undefined).length, 1);
    const lease = ['a', 'b', 'c', 'd'][claims.findIndex((one) => one !== undefined)] ?? '';
    assert.deepEqual(claims.find((one) => one !== undefined)?.sealed, Uint8Array.of(5));
    const progress = { id: 'w1', cursor: 0, attempts: 1, nextAt: now + minute, lastError: '500' };
    await store.webhooks.progress({ ...progress, lease: 'stolen', cursor: 99 });
    await store.webhooks.progress({ ...progress, lease });
    assert.equal(await claim('e'), undefined, 'not before its time');
    assert.notEqual(await claim('f', now + minute), undefined);
    assert.notEqual(await claim('g', now + 3 * minute), undefined, 'a lease runs out');
    const head = await store.decisions.head();
    await store.webhooks.progress({ ...progress, lease: 'g', cursor: head.seq, nextAt: 0, lastError: null });
    assert.equal(await claim('h', now + 9 * minute), undefined, 'all delivered');
    assert.equal((await store.webhooks.list())[0]?.cursor, head.seq);
    await store.webhooks.remove('w1', { at: now, actor: 'op' });
    assert.deepEqual(await store.webhooks.list(), []);
    await other.close();
  });

  each('a sweep tells of verdicts that ran out', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await trusted(store, 1);
    await store.sweep(now + 10 * minute);
    await store.sweep(now + 11 * minute);
    const kinds = (await store.decisions.list({ after: 0, limit: 100 })).map(
      ({ body }) => (JSON.parse(body) as { kind: string }).kind,
    );
    assert.deepEqual(
      kinds.filter((kind) => kind === 'node.expired'),
      ['node.expired'],
    );
    assert.equal(await trustOf(store, 1), 'expired');
  });

  each('what was acknowledged is there when the store is opened again', async (store) => {
    await store.releases.add(newRelease('r1'), 'test');
    await trusted(store, 1);
    const other = await again(store);
    assert.equal((await other.nodes.detail(idOf(1), now))?.trust, 'trusted');
    assert.deepEqual(await other.decisions.head(), await store.decisions.head());
    assert.equal(await other.evidence.record(verdictOf(1)), 'nonce-gone');
    await other.close();
  });
}
