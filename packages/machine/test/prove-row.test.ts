/** What follows from what was seen: blocked must never come out of a broken test. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { MachineError } from '../src/error.ts';
import { parseCleanBoot } from '../src/prove/clean-boot.ts';
import { parseObservation } from '../src/prove/intruder.ts';
import { judgeRow, summarise, untestable } from '../src/prove/row.ts';
import type { Attempt, Observation } from '../src/prove/row.ts';

const name = { id: 'exec-tmp', protection: 'IPE' };
const refused: Attempt = { succeeded: false, detail: 'EACCES' };
const succeeded: Attempt = { succeeded: true, detail: 'ran' };
const seen = (parts: Partial<Observation>): Observation => ({
  attempts: [refused],
  control: null,
  kernel: [],
  seconds: 0.5,
  ...parts,
});

describe('a row of the proof', () => {
  it('is blocked when every attempt failed and the control ran', () => {
    const row = judgeRow(name, seen({ control: succeeded }));
    assert.equal(row.result, 'blocked');
    assert.equal(row.control, 'ran');
    assert.equal(row.seconds, 0.5);
  });

  it('is not blocked when one of several attempts succeeded', () => {
    const row = judgeRow(name, seen({ attempts: [refused, succeeded, refused], control: succeeded }));
    assert.equal(row.result, 'not-blocked');
    assert.equal(row.evidence, 'ran');
  });

  it('is not blocked when an attempt succeeded although the control failed', () => {
    assert.equal(judgeRow(name, seen({ attempts: [succeeded], control: refused })).result, 'not-blocked');
  });

  it('is untestable when the control failed', () => {
    const row = judgeRow(name, seen({ control: refused }));
    assert.equal(row.result, 'untestable');
    assert.equal(row.control, 'failed');
    assert.match(row.evidence, /control failed: EACCES/);
  });

  it('is untestable when nothing was tried', () => {
    assert.equal(judgeRow(name, seen({ attempts: [], control: succeeded })).result, 'untestable');
    assert.equal(untestable(name, 'why').result, 'untestable');
  });

  it('says when there was no control', () => {
    const row = judgeRow(name, seen({}));
    assert.deepEqual([row.result, row.control], ['blocked', 'none']);
  });

  it('takes the attack without protection as control', () => {
    const row = judgeRow(name, seen({}), seen({ attempts: [refused, succeeded] }));
    assert.deepEqual([row.result, row.control], ['blocked', 'ran']);
  });

  it('is untestable when the attack fails without protection too', () => {
    const row = judgeRow(name, seen({}), seen({ attempts: [refused] }));
    assert.deepEqual([row.result, row.control], ['untestable', 'failed']);
    const notMade = judgeRow(name, seen({}), seen({ attempts: [], control: refused }));
    assert.deepEqual([notMade.result, notMade.control], ['untestable', 'failed']);
  });

  it("stays blocked when the host's own control ran and nothing lets the attack through", () => {
    const row = judgeRow(name, seen({ control: succeeded }), seen({ attempts: [refused] }));
    assert.deepEqual([row.result, row.control], ['blocked', 'ran']);
  });

  it("shows the kernel's own line as evidence", () => {
    const line = 'audit: type=1420 ipe_op=EXECUTE enforcing=1 rule="DEFAULT action=DENY"';
    const row = judgeRow(name, seen({ kernel: ['something else', line] }));
    assert.equal(row.evidence, line);
    assert.ok(row.details.includes(`kernel: ${line}`));
  });

  it('is never blocked by anything but refusals and working controls', () => {
    const attempt = fc.record({ succeeded: fc.boolean(), detail: fc.string() });
    const observation = fc.record({
      attempts: fc.array(attempt, { maxLength: 4 }),
      control: fc.option(attempt),
      kernel: fc.array(fc.string(), { maxLength: 2 }),
      seconds: fc.nat(),
    });
    fc.assert(
      fc.property(observation, fc.option(observation, { nil: undefined }), (own, unprotected) => {
        const { result, control } = judgeRow(name, own, unprotected);
        if (result !== 'blocked') return;
        assert.ok(own.attempts.length > 0 && own.attempts.every((each) => !each.succeeded));
        assert.notEqual(control, 'failed');
        assert.notEqual(own.control?.succeeded, false);
        if (own.control === null && unprotected !== undefined) {
          assert.ok(unprotected.attempts.some((each) => each.succeeded));
        }
      }),
    );
  });

  it('is counted', () => {
    const rows = [
      judgeRow(name, seen({})),
      judgeRow(name, seen({ attempts: [succeeded] })),
      untestable(name, ''),
    ];
    assert.deepEqual(summarise(rows, 3), { blocked: 1, notBlocked: 1, untestable: 1, seconds: 3 });
  });
});

describe('the answer of the intruder', () => {
  const answer = {
    id: 1,
    attempts: [{ succeeded: false, detail: 'no' }],
    control: null,
    kernel: ['line'],
    seconds: 0.1,
  };

  it('is read', () => {
    const { attempts, control, kernel } = parseObservation('x', JSON.stringify(answer));
    assert.deepEqual(attempts, answer.attempts);
    assert.equal(control, null);
    assert.deepEqual(kernel, ['line']);
  });

  for (const [why, text] of Object.entries({
    'no JSON': '{"id":1,',
    'no object': '[1]',
    'an error': JSON.stringify({ id: 1, error: 'OSError' }),
    'without attempts': JSON.stringify({ ...answer, attempts: undefined }),
    'an attempt without outcome': JSON.stringify({ ...answer, attempts: [{ detail: 'no' }] }),
    'a control that is no attempt': JSON.stringify({ ...answer, control: 'ran' }),
    'no seconds': JSON.stringify({ ...answer, seconds: '1' }),
  })) {
    it(`is refused: ${why}`, () => {
      assert.throws(
        () => parseObservation('x', text),
        (error: unknown) => error instanceof MachineError && error.code === 'control-failed',
      );
    });
  }

  it('may be anything', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          parseObservation('x', text);
        } catch (error) {
          assert.ok(error instanceof MachineError, String(error));
        }
      }),
    );
  });
});

describe('what the host reports of itself', () => {
  it('is read as far as it is what it should be', () => {
    const facts = parseCleanBoot('{"denials":["a"],"failed":[],"startup":"x","memoryUsed":null,"lsm":3}');
    assert.deepEqual(facts?.denials, ['a']);
    assert.deepEqual(facts?.startup, []);
    assert.equal(facts?.memoryUsed, 0);
    assert.equal(facts?.lsm, '');
    assert.equal(parseCleanBoot('nonsense'), undefined);
    assert.equal(parseCleanBoot('[]'), undefined);
  });
});
