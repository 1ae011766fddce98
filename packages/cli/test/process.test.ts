/** What only a process shows: signals, pipes, standard streams. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { scratch } from '@osguard/testkit';
import { main } from './osguard.ts';

const node = [process.execPath, '--disable-warning=ExperimentalWarning', main] as const;

test('the version', () => {
  const { stdout } = spawnSync(node[0], [...node.slice(1), '--version'], { encoding: 'utf8' });
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('a reader that goes away is no failure', () => {
  const shell = `"$@" --help | true; echo "\${PIPESTATUS[0]}"`;
  const done = spawnSync('bash', ['-c', shell, 'bash', ...node], { encoding: 'utf8' });
  assert.deepEqual([done.stdout, done.stderr], ['0\n', '']);
});

for (const [signal, expected] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  test(`${signal} in the middle: nothing half-written, and one JSON document says so`, async () => {
    using dir = scratch('signal');
    writeFileSync(dir.file('data'), '');
    truncateSync(dir.file('data'), 2 ** 40);
    const words = ['verity', 'format', 'data', 'tree', '--root-hash-file', 'hash', '--json'];
    const child = spawn(node[0], [...node.slice(1), ...words], { cwd: dir.path });
    let out = '';
    child.stdout.on('data', (part: Buffer) => (out += part.toString()));
    // It has begun to write.
    child.stderr.once('data', () => setTimeout(() => child.kill(signal), 300));
    const status = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(status, expected);
    assert.equal((JSON.parse(out) as { error: { code: string } }).error.code, 'interrupted');
    assert.deepEqual(readdirSync(dir.path), ['data']);
  });
