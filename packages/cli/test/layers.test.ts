/** The layers commands as people run them, on an OCI layout. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { openLayout } from '@osguard/layers';
import type { Scratch } from '@osguard/testkit';
import { makeImage, scratch } from '@osguard/testkit';

const main = join(import.meta.dirname, '../src/main.ts');

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function osguard(dir: Scratch, ...args: readonly string[]): Ran {
  return spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], {
    cwd: dir.path,
    env: {
      PATH: process.env['PATH'],
      HOME: dir.path,
      NODE_COMPILE_CACHE: join(tmpdir(), 'osguard-test-compiled'),
    },
    encoding: 'utf8',
  });
}

suite('osguard layers', () => {
  test('sign, inspect, verify, and what a moved tag looks like', async () => {
    using dir = scratch('cli-layers');
    const store = openLayout(dir.file('layout'));
    await makeImage(store, { layers: [[{ path: 'a', body: 'b' }]], tag: 'app' });
    assert.equal(osguard(dir, 'keys', 'init').status, 0);

    const before = osguard(dir, 'layers', 'verify', 'oci:layout:app');
    assert.equal(before.status, 1);
    assert.match(before.stdout, /NOT verified.*\n?.*reasons: signature-missing/s);

    const signed = osguard(dir, 'layers', 'sign', 'oci:layout:app');
    assert.deepEqual(
      [signed.status, /^signed linux\/amd64: 1 layer$/m.test(signed.stdout)],
      [0, true],
      signed.stderr,
    );
    assert.match(signed.stdout, /by CN=osguard layers: oci:layout:app@sha256:[0-9a-f]{64}/);
    assert.match(osguard(dir, 'layers', 'sign', 'oci:layout:app').stdout, /1 of them before/);

    const inspected = osguard(dir, 'layers', 'inspect', 'oci:layout:app', '--trust', 'keys');
    assert.equal(inspected.status, 0, inspected.stderr);
    assert.match(inspected.stdout, /verity image [0-9a-f]{64}/);
    assert.match(inspected.stdout, /signature of .* by CN=osguard layers notation/);

    const verified = osguard(dir, 'layers', 'verify', 'oci:layout:app', '--json');
    const report = JSON.parse(verified.stdout) as {
      ok: boolean;
      images: { layers: { rootHash: string }[] }[];
    };
    assert.deepEqual([verified.status, report.ok], [0, true]);
    assert.match(report.images[0]?.layers[0]?.rootHash ?? '', /^[0-9a-f]{64}$/);

    await makeImage(store, { layers: [[{ path: 'a', body: 'other' }]], tag: 'app' });
    const moved = osguard(dir, 'layers', 'verify', 'oci:layout:app');
    assert.equal(moved.status, 1);
    assert.match(moved.stdout, /reasons: tag-moved, signature-missing/);
  });

  test('check: exit status 1 and what to do about it', async () => {
    using dir = scratch('cli-layers');
    const body = Buffer.concat([readFileSync('/bin/true'), Buffer.from('runc:[1:CHILD]')]);
    await makeImage(openLayout(dir.file('layout')), {
      layers: [[{ path: 'bin/runc', body, mode: 0o755 }]],
      tag: 'app',
    });
    const { status, stdout } = osguard(dir, 'layers', 'check', 'oci:layout:app');
    assert.equal(status, 1);
    assert.match(
      stdout,
      /refused {2}memfd-clone: .*\n {9}\/bin\/runc \(layer 1\): contains "runc:\[1:CHILD\]"\n {9}mend: use crun/,
    );
  });

  test('mistakes are told with a way out', () => {
    using dir = scratch('cli-layers');
    const tell = (...args: readonly string[]): string => {
      const { status, stderr } = osguard(dir, 'layers', ...args);
      assert.equal(status, 2, stderr);
      return stderr;
    };
    assert.match(tell('check', 'a..b'), /"library\/a\.\.b" is no repository[^]*REGISTRY\/REPOSITORY:TAG/);
    assert.match(tell('inspect', 'oci:nowhere:x'), /nowhere: no such file or folder/);
    assert.match(tell('check', 'app', '--mirror', 'nonsense'), /expected REGISTRY=HOST/);
    assert.match(tell('verify', 'app'), /osguard keys init/);
  });
});
