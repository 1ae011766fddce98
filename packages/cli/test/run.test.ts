import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OsguardError, step } from '@osguard/events';
import type { CommandContext, CommandEntry, Outcome } from '../src/command.ts';
import { defineCommand, flag, integerOr, list, text } from '../src/command.ts';
import { run } from '../src/run.ts';

interface Captured {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

interface Surroundings {
  readonly tty?: boolean;
  readonly signal?: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
}

function fake(
  work: (values: Readonly<Record<string, unknown>>, context: CommandContext) => Promise<Outcome>,
): CommandEntry {
  const command = defineCommand({
    options: {
      many: list('--many <text>', 'several'),
      count: integerOr('--count <n>', 'a number', { min: 0, fallback: 7 }),
      maybe: text('--maybe-this <text>', 'perhaps'),
      on: flag('--on', 'a switch'),
    },
    args: {},
    examples: [],
    run: work,
  });
  return { path: ['fake', 'do'], summary: 'does it', load: () => Promise.resolve(command) };
}

async function capture(
  argv: readonly string[],
  command: CommandEntry,
  { tty = false, signal = new AbortController().signal, env = {} }: Surroundings = {},
): Promise<Captured> {
  let out = '';
  let err = '';
  const stdout = { isTTY: tty, write: (chunk: string) => (out += chunk) };
  const stderr = { isTTY: tty, columns: 60, write: (chunk: string) => (err += chunk) };
  const status = await run(argv, { stdout, stderr, env, signal }, { version: '1.2.3', commands: [command] });
  return { status, out, err };
}

const nothing: Outcome = { json: null, text: () => '' };

test('options arrive typed, with their fallbacks', async () => {
  const seen: unknown[] = [];
  const command = fake((values) => {
    seen.push({ ...values });
    return Promise.resolve(nothing);
  });
  await capture(['fake', 'do'], command);
  await capture(
    ['fake', 'do', '--many', 'a', '--many=b', '--count', '3', '--maybe-this', 'x', '--on'],
    command,
  );
  assert.deepEqual(seen, [
    { many: [], count: 7, maybe: undefined, on: false },
    { many: ['a', 'b'], count: 3, maybe: 'x', on: true },
  ]);
});

test('an outcome is printed once, as text or as JSON', async () => {
  const outcome: Outcome = {
    exitCode: 1,
    json: {
      big: 2n ** 60n,
      bytes: Uint8Array.of(1, 255),
      buffer: Buffer.from('a'),
      map: new Map([['k', 1]]),
    },
    text: () => 'no',
  };
  const command = fake(() => Promise.resolve(outcome));
  assert.deepEqual(await capture(['fake', 'do'], command), { status: 1, out: 'no\n', err: '' });
  const { out } = await capture(['fake', 'do', '--json'], command);
  const expected = { big: '1152921504606846976', bytes: '01ff', buffer: '61', map: { k: 1 } };
  assert.deepEqual(JSON.parse(out), expected);
});

test('what a room throws decides the exit status', async () => {
  const missing = new OsguardError('tool-missing', 'no qemu', { exitCode: 3, hint: 'apt-get install qemu' });
  const thrown = await capture(
    ['fake', 'do'],
    fake(() => Promise.reject(missing)),
  );
  assert.deepEqual(thrown, { status: 3, out: '', err: 'error: no qemu\nhint: apt-get install qemu\n' });
  const bug = await capture(
    ['fake', 'do'],
    fake(() => Promise.reject(new TypeError('x of undefined'))),
  );
  assert.equal(bug.status, 3);
  assert.match(bug.err, /a mistake in osguard/);
  const json = await capture(
    ['fake', 'do', '--json'],
    fake(() => Promise.reject(missing)),
  );
  assert.equal(json.err, '');
  assert.equal((JSON.parse(json.out) as { error: { code: string } }).error.code, 'tool-missing');
});

test('an interrupted command ends with 130, after its own cleaning up', async () => {
  const controller = new AbortController();
  const order: string[] = [];
  const command = fake(async (_values, { signal, sink }) => {
    await step(sink, { id: 'w', title: 'work' }, async () => {
      try {
        setImmediate(() => controller.abort());
        await sleep(10_000, undefined, { signal });
      } finally {
        order.push('cleaned');
      }
    });
    return nothing;
  });
  const { status, err } = await capture(['fake', 'do'], command, { signal: controller.signal });
  assert.equal(status, 130);
  assert.deepEqual(order, ['cleaned']);
  assert.match(err, /cancelled work/);
  assert.match(err, /interrupted\n$/);
});

test('a failure while being stopped is the stop', async () => {
  const controller = new AbortController();
  const command = fake(() => {
    controller.abort();
    return Promise.reject(new Error('child was killed'));
  });
  assert.equal((await capture(['fake', 'do'], command, { signal: controller.signal })).status, 130);
});

const working = fake(async (_values, { sink }) => {
  await step(sink, { id: 'a', title: 'install\u001b packages' }, (report) => {
    report.progress({ done: 3, total: 10, unit: 'packages' });
    report.warning('slow', 'no cache', 'make one');
    report.detail('10 packages');
  });
  sink({ type: 'output', source: 'tool', line: 'chatter' });
  sink({ type: 'note', message: 'lies in out/' });
  return { json: {}, text: () => 'result' };
});

test('progress: plain lines on stderr when it is no terminal', async () => {
  const { out, err } = await capture(['fake', 'do'], working);
  assert.equal(out, 'result\n');
  assert.deepEqual(err.replace(/\d+ ms/, 'N ms').split('\n'), [
    'install\\x1b packages ...',
    'warning: no cache',
    '  hint: make one',
    'ok install\\x1b packages  N ms, 10 packages',
    'lies in out/',
    '',
  ]);
  assert.match((await capture(['fake', 'do', '--verbose'], working)).err, /tool: chatter/);
});

test('progress: a live line on a terminal, gone before the result', async () => {
  const { out, err } = await capture(['fake', 'do'], working, {
    tty: true,
    env: { LANG: 'C.UTF-8', NO_COLOR: '1' },
  });
  assert.equal(out, 'result\n');
  assert(err.includes('\r\u001b[2K⠋ install\\x1b packages'));
  const screen = err.split('\n').map((line) => line.split('\u001b[2K').at(-1));
  assert.match(
    screen.join('\n'),
    /^warning: no cache\n {2}hint: make one\n✓ install\\x1b packages {2}\d+ ms, 10 packages\nlies in out\/\n$/,
  );
});

test('lines of a result that comes bit by bit stay out of the JSON document', async () => {
  const console = fake(async (_values, { live, sink }) => {
    await step(sink, { id: 'b', title: 'boot' }, () => live('console line'));
    return { json: { done: true }, text: () => 'stopped' };
  });
  const human = await capture(['fake', 'do'], console);
  assert.equal(human.out, 'console line\nstopped\n');
  const machine = await capture(['fake', 'do', '--json'], console);
  assert.deepEqual(JSON.parse(machine.out), { done: true });
  assert.match(machine.err, /^console line$/m);
  const terminal = await capture(['fake', 'do'], console, { tty: true });
  assert.equal(terminal.out, 'console line\nstopped\n');
});

async function systemError(code: string, path: string): Promise<string> {
  const error = Object.assign(new Error('x'), { code, syscall: 'open', path });
  const command = fake(() => Promise.reject(error));
  return (await capture(['fake', 'do'], command)).err;
}

test('what the system refuses is told of the file that was named', async () => {
  const missing = 'no such file or folder\n';
  assert.equal(await systemError('ENOENT', '/a/.tree.partial-123'), `error: /a/tree: ${missing}`);
  assert.equal(await systemError('ENOENT', '/a/out.partial-xY12'), `error: /a/out: ${missing}`);
  assert.match(
    await systemError('EACCES', '/a/x.p7s.77.tmp'),
    /^error: \/a\/x\.p7s: permission denied\nhint: ls -ld \/a \/a\/x/,
  );
});
