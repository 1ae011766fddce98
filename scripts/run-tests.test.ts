import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';

const script = join(import.meta.dirname, 'run-tests.ts');

function runTests(
  files: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
): {
  status: number | null;
  lines: string[];
  log: string;
} {
  using dir = scratch('run-tests');
  const paths = Object.entries(files).map(([name, text]) => {
    writeFileSync(
      dir.file(name),
      `import { test, suite } from 'node:test';\nimport assert from 'node:assert';\n${text}`,
    );
    return dir.file(name);
  });
  const name = `own-${process.pid}`;
  // The runner would take this test for its own otherwise, and report to it.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const done = spawnSync(process.execPath, [script, name, '2', ...paths], {
    encoding: 'utf8',
    env: { ...env, ...more },
  });
  const log = join(import.meta.dirname, '..', 'test-logs', `${name}.log`);
  const text = readFileSync(log, 'utf8');
  rmSync(log);
  return { status: done.status, lines: done.stdout.trimEnd().split('\n'), log: text };
}

void test('the end names what failed, where and why, and how to run it again', () => {
  const { status, lines, log } = runTests({
    'a.test.ts': "suite('s', () => {\n test('good', () => {});\n test('bad', () => assert.equal(1, 2));\n});",
    'b.test.ts': "test('unjudged', { skip: 'no judge here' }, () => {});",
    'c.test.ts': "throw new Error('at the top');",
  });
  assert.equal(status, 1);
  const said = lines.join('\n');
  assert.match(said, /^skipped 1: no judge here$/m);
  assert.match(said, /^FAILED bad\n {2}at .*a\.test\.ts:5\n {2}\| .*1.*2/m);
  assert.match(said, /^FAILED .*c\.test\.ts\n(?:.*\n)* {2}\| Error: at the top$/m);
  assert.match(lines.at(-2) ?? '', /^1 passed, 1 skipped, 2 failed; all they said: test-logs\/own-\d+\.log$/);
  assert.match(lines.at(-1) ?? '', /^run again: \.\/test .*[ac]\.test\.ts .*[ac]\.test\.ts$/);
  assert.match(log, /failing tests/);
});

void test('a file that does not end is killed, and has failed', () => {
  const open = "setInterval(() => {}, 1000);\ntest('good', () => {});";
  const { status, lines } = runTests({ 'a.test.ts': open }, { OSGUARD_TEST_LIMIT: '3000' });
  assert.equal(status, 1);
  assert.match(lines.join('\n'), /a\.test\.ts does not end: killed[^]*FAILED .*a\.test\.ts/);
});

void test('nothing failed', () => {
  const { status, lines } = runTests({ 'a.test.ts': "test('good', () => {});" });
  assert.equal(status, 0);
  assert.match(lines.at(-1) ?? '', /^1 passed, 0 skipped, 0 failed/);
});
