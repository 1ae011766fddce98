import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';
import { openStore } from '../src/store/index.ts';

void test('an approval that was not used yet can be taken back, with what it began', async () => {
  using dir = scratch('approvals');
  const store = await openStore(dir.file('store.db'));
  const node = 'ab'.repeat(32);
  const act = { at: 10, actor: 'operator' };
  try {
    assert.equal(await store.nodes.remove(node, act), false);
    await store.enrolments.approve(node, act);
    const enrolment = {
      id: 'enrolment',
      node,
      name: 'name',
      ek: Uint8Array.of(1),
      ak: Uint8Array.of(2),
      akName: 'name of the key',
      secretHash: 'hash',
      address: '::1',
      endorsement: 'allow-list',
      ekCertificates: [],
      expires: 1000,
    };
    assert.equal(await store.enrolments.add(enrolment, { now: 10, total: 10, perAddress: 10 }), 'added');
    assert.equal(await store.nodes.remove(node, act), true);
    assert.equal(await store.enrolments.isApproved(node), false);
    assert.equal(await store.enrolments.take('enrolment'), undefined);
    const kinds = (await store.decisions.list({ after: 0, limit: 10 })).map(
      ({ body }) => (JSON.parse(body) as { kind: string }).kind,
    );
    assert.deepEqual(kinds, ['node.approved', 'node.approval-withdrawn']);
    assert.equal(await store.nodes.remove(node, act), false);
  } finally {
    await store.close();
  }
});
