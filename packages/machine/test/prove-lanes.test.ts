/** Which boots are made, in which order, and what becomes of the rows of a boot that fails. No machine is started. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { parseRootHash } from '@osguard/formats/verity';

import { MachineError } from '../src/error.ts';
import type { ProofContext } from '../src/prove/context.ts';
import { defaultLimits, noControls } from '../src/prove/context.ts';
import type { Boots } from '../src/prove/lanes.ts';
import { runBoots } from '../src/prove/lanes.ts';
import type { ProofFiles } from '../src/prove/proof-files.ts';
import { judgeRow } from '../src/prove/row.ts';
import type { Observation, Row } from '../src/prove/row.ts';
import { attackRows } from '../src/prove/table.ts';

const refused: Observation = {
  attempts: [{ succeeded: false, detail: 'refused' }],
  control: { succeeded: true, detail: 'ran' },
  kernel: [],
  seconds: 0.1,
};

const observed = (ids: readonly string[]): ReadonlyMap<string, Observation> =>
  new Map(ids.map((id) => [id, { ...refused, attempts: [{ succeeded: true, detail: 'got through' }] }]));
const decide = (context: ProofContext, stages: readonly string[]): void => {
  for (const row of attackRows.filter(({ stage }) => stages.includes(stage))) {
    context.onRow(judgeRow(row, { ...refused, control: null }, context.controls.unprotected.get(row.id)));
  }
};

interface Recorded {
  readonly boots: Boots;
  /** `main:begin`, `main:end`, … in the order they happened. */
  readonly log: string[];
}

/** Boots that decide every row they owe; those that `broken` names die, the first `times` times. */
function fakeBoots(broken: readonly string[] = [], times = Number.POSITIVE_INFINITY): Recorded {
  const deaths = new Map(broken.map((name) => [name, times]));
  const log: string[] = [];
  const during = async <T>(name: string, work: () => T): Promise<T> => {
    log.push(`${name}:begin`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    log.push(`${name}:end`);
    const left = deaths.get(name) ?? 0;
    deaths.set(name, left - 1);
    if (left > 0) {
      throw new MachineError('timeout', `${name} said nothing`, { data: { lastLines: ['last words'] } });
    }
    return work();
  };
  return {
    log,
    boots: {
      main: (context, { overlay, onState }) =>
        during('main', () => {
          onState('{"denials":["one"]}');
          decide(
            context,
            overlay === undefined ? ['intruder', 'container', 'last'] : ['intruder', 'container'],
          );
          return overlay === undefined ? undefined : refused;
        }),
      reboot: (context) => during('reboot', () => decide(context, ['reboot', 'last'])),
      refusals: (context) => during('refusals', () => decide(context, ['firmware', 'hypervisor'])),
      offline: (_context, row) => during(row.id, () => ({ ...refused, control: null })),
      unprotected: (_context, attacks) => during('unprotected', () => observed(attacks)),
      unlocked: (_context, attacks) => during('unlocked', () => observed(attacks)),
    },
  };
}

function contextFor(parts: Partial<ProofContext> = {}): ProofContext {
  return {
    tools: { origins: new Map(), path: [], command: () => assert.fail(), file: () => assert.fail() },
    // None of the fake boots looks at them.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    files: {} as ProofFiles,
    disk: '',
    variables: '',
    rootHash: parseRootHash('ab'.repeat(32)),
    victim: { path: '', offset: 0, data: 0, tree: 0, firstLeaf: 0 },
    memoryMiB: 1024,
    cpus: 1,
    folder: '/nowhere',
    sink: () => undefined,
    onRow: () => undefined,
    limits: defaultLimits,
    controls: noControls,
    ...parts,
  };
}

const short = attackRows.filter((row) => row.short);
const resultOf = (rows: readonly Row[], id: string): Row['result'] | undefined =>
  rows.find((row) => row.id === id)?.result;

describe('the boots of a proof', () => {
  for (const lanes of [1, 2] as const) {
    it(`decide every row of the whole proof with ${lanes} at a time`, async () => {
      const { boots } = fakeBoots();
      const told: string[] = [];
      const context = contextFor({ onRow: ({ id }) => told.push(id) });
      const { checks, cleanBoot } = await runBoots(context, { rows: attackRows, full: true, lanes }, boots);
      assert.deepEqual(
        checks.map(({ id }) => id),
        attackRows.map(({ id }) => id),
      );
      assert.ok(checks.every(({ result }) => result === 'blocked'));
      assert.deepEqual(told.toSorted(), attackRows.map(({ id }) => id).toSorted());
      assert.deepEqual(cleanBoot?.denials, ['one']);
    });
  }

  it('makes one at a time when told so', async () => {
    const { boots, log } = fakeBoots();
    await runBoots(contextFor(), { rows: attackRows, full: true, lanes: 1 }, boots);
    for (let i = 0; i < log.length; i += 2) assert.equal(log[i]?.split(':')[0], log[i + 1]?.split(':')[0]);
    assert.ok(log.indexOf('unprotected:end') < log.indexOf('main:begin'));
    assert.ok(log.indexOf('unlocked:end') < log.indexOf('main:begin'));
  });

  it('has both controls before the attacks when two run at a time', async () => {
    const { boots, log } = fakeBoots();
    await runBoots(contextFor(), { rows: attackRows, full: true, lanes: 2 }, boots);
    assert.ok(log.indexOf('unprotected:end') < log.indexOf('main:begin'));
    assert.ok(log.indexOf('unlocked:end') < log.indexOf('main:begin'));
    assert.ok(log.indexOf('refusals:begin') < log.indexOf('main:end'));
  });

  it('makes two boots for the short proof', async () => {
    const { boots, log } = fakeBoots();
    const { checks } = await runBoots(contextFor(), { rows: short, full: false, lanes: 2 }, boots);
    assert.deepEqual(log.filter((line) => line.endsWith(':begin')).toSorted(), [
      'main:begin',
      'refusals:begin',
    ]);
    assert.equal(checks.length, short.length);
    assert.ok(checks.every(({ control }) => control === 'none'));
  });

  it('makes no boot that no row asks for', async () => {
    const { boots, log } = fakeBoots();
    const rows = attackRows.filter(({ id }) => id === 'usr-tree');
    await runBoots(contextFor(), { rows, full: true, lanes: 2 }, boots);
    assert.deepEqual(log, ['usr-tree:begin', 'usr-tree:end']);
  });

  it('makes the rows of a dead machine untestable, with its last words, and no others', async () => {
    const { boots } = fakeBoots(['main', 'usr-tree']);
    const { checks } = await runBoots(contextFor(), { rows: attackRows, full: true, lanes: 2 }, boots);
    assert.equal(resultOf(checks, 'exec-tmp'), 'untestable');
    assert.equal(resultOf(checks, 'persist-etc'), 'untestable');
    assert.equal(resultOf(checks, 'usr-tree'), 'untestable');
    assert.equal(resultOf(checks, 'uki-foreign'), 'blocked');
    // That the changed disk does not boot says nothing when the unchanged one does not either.
    assert.equal(resultOf(checks, 'usr-unsigned'), 'untestable');
    assert.deepEqual(checks.find(({ id }) => id === 'exec-tmp')?.details, ['console: last words']);
  });

  it('makes a boot again when the machine died', async () => {
    const { boots, log } = fakeBoots(['main', 'unlocked', 'usr-tree'], 1);
    const codes: string[] = [];
    const context = contextFor({ sink: (event) => event.type === 'warning' && codes.push(event.code) });
    const { checks } = await runBoots(context, { rows: attackRows, full: true, lanes: 2 }, boots);
    assert.ok(checks.every(({ result }) => result === 'blocked'));
    assert.deepEqual(codes, ['boot-again', 'boot-again']);
    assert.equal(log.filter((line) => line === 'main:begin').length, 2);
  });

  it('keeps what was decided before a machine died', async () => {
    const { boots } = fakeBoots(['reboot']);
    const { checks } = await runBoots(contextFor(), { rows: attackRows, full: true, lanes: 1 }, boots);
    assert.equal(resultOf(checks, 'exec-tmp'), 'blocked');
    assert.equal(resultOf(checks, 'usr-data'), 'untestable');
  });

  it('does not call blocked what rested on a control boot that failed', async () => {
    const { boots } = fakeBoots(['unprotected']);
    const codes: string[] = [];
    const context = contextFor({ sink: (event) => event.type === 'warning' && codes.push(event.code) });
    const { checks } = await runBoots(context, { rows: attackRows, full: true, lanes: 2 }, boots);
    assert.equal(resultOf(checks, 'kexec'), 'untestable');
    assert.deepEqual(codes, ['control-unprotected']);
  });

  it('ends as interrupted when it was', async () => {
    const controller = new AbortController();
    const { boots, log } = fakeBoots();
    const context = contextFor({ signal: controller.signal });
    const running = runBoots(context, { rows: attackRows, full: true, lanes: 2 }, boots);
    controller.abort();
    await assert.rejects(
      running,
      (error: unknown) => error instanceof MachineError && error.code === 'aborted',
    );
    assert.ok(!log.includes('main:begin'));
  });
});
