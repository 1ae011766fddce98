import assert from 'node:assert/strict';
import { test } from 'node:test';

import { pruneTree } from '../src/prune/index.ts';
import type { PruneReport } from '../src/prune/index.ts';
import { readPackageRecords } from '../src/root/index.ts';
import { RootTree } from '../src/tree/index.ts';

function stanza(name: string): string {
  return `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 1.0\nMaintainer: m\nDescription: d\n\n`;
}

function installed(): RootTree {
  const tree = new RootTree();
  const program = { mode: 0o755 };
  tree.putLink('bin', 'usr/bin');
  tree.putFile('usr/bin/dash', 'ELF', program);
  tree.putLink('usr/bin/sh', 'dash');
  tree.putFile('usr/bin/perl', 'ELF', program);
  tree.putFile('usr/lib/perl-base/a/Carp.pm', 'x');
  tree.putLink('usr/bin/awk', '/etc/alternatives/awk');
  tree.putLink('etc/alternatives/awk', '/usr/bin/mawk');
  tree.putFile('usr/bin/mawk', 'ELF', program);
  tree.putFile('usr/bin/zgrep', '#!/bin/sh\n', program);
  tree.putFile('usr/bin/envy', '#!/usr/bin/env perl\n', program);
  tree.putFile('usr/bin/su', 'ELF', { mode: 0o4755 });
  tree.putFile('usr/bin/ping', 'ELF', {
    ...program,
    xattrs: new Map([['security.capability', Uint8Array.of(1)]]),
  });
  tree.putFile('usr/share/doc/dash/copyright', 'text');
  tree.putFile('usr/lib/x86_64-linux-gnu/libx.a', 'ar');
  tree.putFile(
    'usr/lib/systemd/system/a.service',
    '[Service]\nExecStart=-/bin/sh -c x\nExecStartPre=+/bin/sh -c y\n',
  );
  tree.putFile('usr/lib/udev/rules.d/1.rules', '# RUN+="/bin/sh"\nRUN+="/bin/sh -c x"\n');
  tree.putFile('var/lib/dpkg/status', stanza('dash') + stanza('perl-base'));
  tree.putFile('var/lib/dpkg/info/dash.list', '/.\n/bin/dash\n/usr/bin/sh\n');
  tree.putFile(
    'var/lib/dpkg/info/perl-base:amd64.list',
    '/.\n/usr\n/usr/bin\n/usr/bin/perl\n/usr/lib/perl-base\n/usr/lib/perl-base/a\n/usr/lib/perl-base/a/Carp.pm\n',
  );
  return tree;
}

type Options = Partial<Parameters<typeof pruneTree>[1]['definition']>;

function prune(tree: RootTree, options: Options = {}): PruneReport {
  const definition = { profile: 'hardened' as const, interpreters: [], setuid: [], ...options };
  return pruneTree(tree, { definition, records: readPackageRecords(tree) });
}

test('records name files by their real place and keep the copyright', () => {
  const { packages, owners } = readPackageRecords(installed());
  assert.deepEqual(
    packages.map(({ name }) => name),
    ['dash', 'perl-base'],
  );
  assert.equal(owners.get('usr/bin/dash'), 'dash');
  assert.equal(Buffer.from(packages[0]?.copyright ?? []).toString(), 'text');
});

test('shells, interpreters and what needs them go, with the rule that says why', () => {
  const tree = installed();
  const { removed, broken } = prune(tree);
  for (const leaf of ['sh', 'dash', 'perl', 'mawk', 'awk', 'zgrep', 'envy']) {
    assert.equal(tree.has(`usr/bin/${leaf}`), false, leaf);
  }
  assert.equal(tree.has('usr/lib/perl-base'), false);
  assert.equal(tree.has('usr/lib/x86_64-linux-gnu/libx.a'), false);
  assert.equal(tree.has('var/lib/dpkg'), false);
  const rules = new Map(removed.map((entry) => [entry.rule, entry.paths]));
  assert.deepEqual(rules.get('shell'), ['usr/bin/dash', 'usr/bin/sh']);
  assert.deepEqual(rules.get('orphan-script'), ['usr/bin/envy', 'usr/bin/zgrep']);
  assert.deepEqual(rules.get('dangling-link'), ['etc/alternatives/awk']);
  assert.deepEqual(broken, [
    { kind: 'unit', where: 'usr/lib/systemd/system/a.service', line: 3, needs: '/bin/sh' },
    { kind: 'udev-rule', where: 'usr/lib/udev/rules.d/1.rules', line: 2, needs: '/bin/sh' },
  ]);
});

test('a named interpreter stays with what it is a link to, and so do its scripts', () => {
  const tree = installed();
  const { interpreters, broken } = prune(tree, { interpreters: [{ path: '/bin/sh', why: 'hooks' }] });
  assert.deepEqual(
    [tree.has('usr/bin/sh'), tree.has('usr/bin/dash'), tree.has('usr/bin/zgrep')],
    [true, true, true],
  );
  assert.equal(tree.has('usr/bin/perl'), false);
  assert.deepEqual(broken, []);
  assert.equal(interpreters.length, 1);
  const second = installed();
  prune(second, { interpreters: [{ path: '/usr/bin/perl', why: 'agent' }] });
  assert.ok(second.has('usr/lib/perl-base/a/Carp.pm'));
});

test('set-ID bits go unless named; capabilities are listed', () => {
  const tree = installed();
  const { setId, capabilities } = prune(tree);
  assert.deepEqual(setId, [{ path: 'usr/bin/su', mode: 0o4755, kept: false }]);
  assert.equal(tree.get('usr/bin/su')?.mode, 0o755);
  assert.deepEqual(capabilities, ['usr/bin/ping']);
  const second = installed();
  const kept = prune(second, { setuid: [{ path: '/usr/bin/su', why: 'operators' }] }).setId;
  assert.deepEqual(kept, [{ path: 'usr/bin/su', mode: 0o4755, kept: true, why: 'operators' }]);
  assert.equal(second.get('usr/bin/su')?.mode, 0o4755);
});

test('the general profile keeps everything but set-ID bits', () => {
  const tree = installed();
  const { removed } = prune(tree, { profile: 'general' });
  assert.deepEqual(removed, []);
  assert.ok(tree.has('usr/bin/dash'));
  assert.equal(tree.get('usr/bin/su')?.mode, 0o755);
});
