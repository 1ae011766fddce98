import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { judge, noJudge, scratch } from '@osguard/testkit';

import { withLock } from '../src/process/lock.ts';
import { run, runOrThrow } from '../src/process/run.ts';
import type { Command } from '../src/process/run.ts';
import { isAtLeast, parseVersion } from '../src/tools/host.ts';
import { openTools } from '../src/tools/open.ts';
import { treePath } from '../src/tools/tree.ts';

describe('versions as programs print them', () => {
  it('finds the first dotted number', () => {
    assert.equal(parseVersion('QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)'), '7.2.22');
    assert.equal(parseVersion('TPM emulator version 0.7.1, Copyright (c) 2014-2021 IBM Corp.'), '0.7.1');
    assert.equal(parseVersion('GPT fdisk (sgdisk) version 1.0.10'), '1.0.10');
    assert.equal(parseVersion('*** Zstandard CLI (64-bit) v1.5.7, by Yann Collet ***'), '1.5.7');
    assert.equal(parseVersion('no number'), undefined);
  });

  it('compares number by number', () => {
    assert.ok(isAtLeast('10.0.13', [9, 0]) && isAtLeast('9.0', [9, 0]) && isAtLeast('9', [9, 0]));
    assert.ok(!isAtLeast('7.2.22', [9, 0]) && !isAtLeast('8.99', [9, 0]) && !isAtLeast('0.6.9', [0, 7]));
  });
});

function sh(script: string): Command {
  return { file: 'sh', args: ['-c', script], env: { GREETING: 'hello' } };
}

describe('helper programs', () => {
  it('gives status, output and lines; fails with what was printed last', async () => {
    const lines: string[] = [];
    const result = await run(sh('echo $GREETING; cat; echo oops >&2; exit 3'), {
      input: 'in\n',
      onLine: (line) => lines.push(line),
    });
    assert.deepEqual(result, { status: 3, stdout: 'hello\nin\n', stderr: 'oops\n' });
    assert.deepEqual(lines, ['hello', 'in']);
    await assert.rejects(runOrThrow(sh('echo reason >&2; exit 1')), {
      code: 'tool-failed',
      message: /reason/,
    });
  });

  it('tells missing programs, time-outs and interruptions apart', async () => {
    await assert.rejects(run({ file: 'no-such-program', args: [], env: {} }, { hint: 'install it' }), {
      code: 'tool-missing',
      hint: 'install it',
      exitCode: 3,
    });
    await assert.rejects(run(sh('exec sleep 60'), { timeoutMs: 50 }), { code: 'timeout' });
    await assert.rejects(run(sh('exec sleep 60'), { signal: AbortSignal.timeout(50) }), { code: 'aborted' });
  });
});

describe('withLock', () => {
  it('lets one in at a time and lets go when the work fails', async () => {
    using folder = scratch('lock');
    const path = folder.file('lock');
    let inside = 0;
    const work = async (): Promise<void> => {
      assert.equal(++inside, 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => withLock(path, { run: work })));
    await assert.rejects(withLock(path, { run: () => Promise.reject(new Error('broken')) }), /broken/);
    await withLock(path, { run: work });
  });

  it('can be interrupted while it waits, and says when a folder cannot be written', async () => {
    using folder = scratch('lock');
    const path = folder.file('lock');
    await withLock(path, {
      run: async () => {
        const waiting = withLock(path, {
          signal: AbortSignal.timeout(50),
          run: () => assert.fail('not our turn'),
        });
        await assert.rejects(waiting, { code: 'aborted' });
      },
    });
    const nowhere = withLock(folder.file('no/such/lock'), { run: () => Promise.resolve() });
    await assert.rejects(nowhere, { code: 'not-writable' });
  });
});

describe('openTools', () => {
  it('takes a tree that is there and runs its programs, and says what it lacks', async () => {
    using cache = scratch('open');
    const { toolSets, suite } = await import('../src/tools/table.ts');
    const packages = toolSets.run.packages.map((entry) => entry.name);
    const tree = treePath({ folder: cache.file('tools'), suite, packages });
    mkdirSync(`${tree}/bin`, { recursive: true });
    mkdirSync(`${tree}/root/usr/share`, { recursive: true });
    writeFileSync(`${tree}/bin/swtpm`, '#!/bin/sh\necho tree "$@"\n');
    chmodSync(`${tree}/bin/swtpm`, 0o755);
    writeFileSync(`${tree}/root/usr/share/file`, '');
    writeFileSync(`${tree}/tree.json`, JSON.stringify({ programs: ['swtpm'], packages: { swtpm: '1' } }));
    const tools = await openTools({ cache: cache.path, from: 'tree' });
    assert.deepEqual(tools.path, [`${tree}/bin`]);
    assert.equal((await runOrThrow(tools.command('swtpm', ['a b']))).stdout, 'tree a b\n');
    assert.equal(tools.file('/usr/share/file'), `${tree}/root/usr/share/file`);
    assert.throws(() => tools.command('sh', []), { code: 'tool-missing' });
    assert.throws(() => tools.file('/etc/passwd'), { code: 'firmware-missing', exitCode: 3 });
  });

  it('names every missing program and the command that installs them', async (context) => {
    if (judge('qemu-system-x86_64') !== undefined) return context.skip('QEMU is installed on this machine');
    await assert.rejects(openTools({ from: 'host' }), {
      code: 'tool-missing',
      message: /qemu-system-x86_64/,
      hint: /^sudo apt-get install .*qemu-system-x86/,
    });
  });

  it('finds a builder installed on this machine', async (context) => {
    if (judge('mmdebstrap') === undefined) return context.skip(noJudge('mmdebstrap'));
    const tools = await openTools({ sets: ['build'] });
    assert.equal(tools.origins.get('build')?.from, 'host');
    assert.match(tools.command('mmdebstrap', []).file, /mmdebstrap$/);
  });
});
