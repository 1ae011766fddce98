/** The layers commands as people run them, on an OCI layout. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { openLayout } from '@osguard/layers';
import type { Scratch } from '@osguard/testkit';
import { makeImage, scratch } from '@osguard/testkit';
import { osguard as runCommand } from './osguard.ts';
import type { Ran } from './osguard.ts';

async function osguard(dir: Scratch, ...args: readonly string[]): Promise<Ran> {
  return runCommand(args, { cwd: dir.path });
}

suite('osguard layers', () => {
  test('sign, inspect, verify, and what a moved tag looks like', async () => {
    using dir = scratch('cli-layers');
    const store = openLayout(dir.file('layout'));
    await makeImage(store, { layers: [[{ path: 'a', body: 'b' }]], tag: 'app' });
    assert.equal((await osguard(dir, 'keys', 'init')).status, 0);

    const before = await osguard(dir, 'layers', 'verify', 'oci:layout:app');
    assert.equal(before.status, 1);
    assert.match(before.stdout, /NOT verified.*\n?.*reasons: signature-missing/s);

    const signed = await osguard(dir, 'layers', 'sign', 'oci:layout:app');
    assert.deepEqual(
      [signed.status, /^signed linux\/amd64: 1 layer$/m.test(signed.stdout)],
      [0, true],
      signed.stderr,
    );
    assert.match(signed.stdout, /by CN=osguard layers: oci:layout:app@sha256:[0-9a-f]{64}/);
    assert.match((await osguard(dir, 'layers', 'sign', 'oci:layout:app')).stdout, /1 of them before/);

    const inspected = await osguard(dir, 'layers', 'inspect', 'oci:layout:app', '--trust', 'keys');
    assert.equal(inspected.status, 0, inspected.stderr);
    assert.match(inspected.stdout, /verity image [0-9a-f]{64}/);
    assert.match(inspected.stdout, /signature of .* by CN=osguard layers notation/);

    const verified = await osguard(dir, 'layers', 'verify', 'oci:layout:app', '--json');
    const report = JSON.parse(verified.stdout) as {
      ok: boolean;
      images: { layers: { rootHash: string }[] }[];
    };
    assert.deepEqual([verified.status, report.ok], [0, true]);
    assert.match(report.images[0]?.layers[0]?.rootHash ?? '', /^[0-9a-f]{64}$/);

    await makeImage(store, { layers: [[{ path: 'a', body: 'other' }]], tag: 'app' });
    const moved = await osguard(dir, 'layers', 'verify', 'oci:layout:app');
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
    const { status, stdout } = await osguard(dir, 'layers', 'check', 'oci:layout:app');
    assert.equal(status, 1);
    assert.match(
      stdout,
      /refused {2}memfd-clone: .*\n {9}\/bin\/runc \(layer 1\): contains "runc:\[1:CHILD\]"\n {9}mend: use crun/,
    );
  });

  test('mistakes are told with a way out', async () => {
    using dir = scratch('cli-layers');
    const tell = async (...args: readonly string[]): Promise<string> => {
      const { status, stderr } = await osguard(dir, 'layers', ...args);
      assert.equal(status, 2, stderr);
      return stderr;
    };
    assert.match(
      await tell('check', 'a..b'),
      /"library\/a\.\.b" is no repository[^]*REGISTRY\/REPOSITORY:TAG/,
    );
    assert.match(await tell('inspect', 'oci:nowhere:x'), /nowhere: no such file or folder/);
    assert.match(await tell('check', 'app', '--mirror', 'nonsense'), /expected REGISTRY=HOST/);
    assert.match(await tell('verify', 'app'), /osguard keys init/);
  });
});
