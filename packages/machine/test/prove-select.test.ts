import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { attackRows } from '../src/prove/index.ts';
import { selectRows } from '../src/prove/prove.ts';

const ids = (...args: Parameters<typeof selectRows>): readonly string[] =>
  selectRows(...args).map(({ id }) => id);

describe('which attacks a proof makes', () => {
  it('is all of the table, or what one boot can show', () => {
    assert.equal(ids({ short: false }, true).length, attackRows.length);
    const short = ids({ short: true }, true);
    assert.ok(short.length > 0 && short.length < attackRows.length);
    assert.ok(!selectRows({ short: false }, false).some(({ stage }) => stage === 'container'));
  });

  it('is what was named, and never less: a proof of nothing would hold', () => {
    assert.deepEqual(ids({ short: true, only: ['exec-tmp'] }, true), ['exec-tmp']);
    const long = attackRows.find(({ short }) => !short)?.id ?? assert.fail();
    assert.throws(() => ids({ short: true, only: ['exec-tmp', long] }, true), {
      code: 'bad-option',
      message: `${long} is not part of the short proof`,
    });
    assert.throws(
      () => ids({ short: false, only: ['exec-tmp', 'layer-unsigned'] }, false),
      /need no signature/,
    );
    assert.throws(() => ids({ short: false, only: ['nothing'] }, true), /there is no attack nothing/);
  });
});
