/** The table of attacks, the agent's programs and the boots know the same names. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { unlockedAttacks, unprotectedAttacks } from '../src/prove/control-boots.ts';
import { attackRows } from '../src/prove/table.ts';

const folder = join(import.meta.dirname, '../src/prove/agent');

/** Keys of the `ATTACKS = {…}` literals; names are quoted at the beginning of an entry. */
function agentAttacks(): ReadonlySet<string> {
  const names = new Set<string>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.py'))) {
    const text = readFileSync(join(folder, file), 'utf8');
    const [, literal = ''] = /^ATTACKS = \{(.*?)\}$/ms.exec(text) ?? [];
    for (const [, name = ''] of literal.matchAll(/"([a-z-]+)":/g)) names.add(name);
  }
  return names;
}

/** Of the issue that asked for the proof. */
const demanded = [
  'usr-write',
  'usr-data',
  'usr-tree',
  'usr-foreign-key',
  'usr-unsigned',
  'uki-unsigned',
  'uki-foreign',
  'uki-cmdline',
  'uki-section',
  'cmdline-smbios',
  'credential-smbios',
  'exec-root',
  'exec-tmp',
  'exec-run',
  'exec-var',
  'exec-home',
  'exec-shm',
  'exec-memfd',
  'exec-mmap',
  'exec-preload',
  'exec-deleted',
  'exec-script',
  'patch-proc-mem',
  'patch-ptrace',
  'patch-private-page',
  'module',
  'kexec',
  'devmem',
  'msr',
  'bpf-write',
  'ipe-off',
  'ipe-foreign',
  'ipe-rollback',
  'ipe-delete',
  'selinux-off',
  'selinux-load',
  'verity-unsigned',
  'verity-foreign',
  'persist-etc',
  'persist-unit',
  'persist-var-exec',
  'layer-unsigned',
  'layer-foreign',
  'layer-swapped-signature',
  'layer-tampered-blob',
  'layer-tampered-stored',
  'container-drop-exec',
  'container-memfd',
  'container-preload',
  'container-mount-exec',
  'container-escape-write-usr',
  'signature-of-other-role',
  'rollback-to-revoked-layer',
];

describe('the table of attacks', () => {
  const ids = attackRows.map(({ id }) => id);

  it('has every attack once', () => {
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(
      demanded.filter((id) => !ids.includes(id)),
      [],
    );
  });

  it('names only what the agent can do', () => {
    const known = agentAttacks();
    const asked = attackRows.filter(({ stage }) => ['intruder', 'reboot', 'last'].includes(stage));
    assert.deepEqual(
      asked.map(({ id }) => id).filter((id) => !known.has(id)),
      [],
    );
    for (const id of ['boot-state', 'persist-plant']) assert.ok(known.has(id), id);
  });

  it('leaves no attack of the agent out', () => {
    const rest = [...agentAttacks()].filter((id) => !ids.includes(id));
    // What prepares or controls attacks, or serves other proofs, is no row of this table.
    assert.deepEqual(rest.sort(), [
      'boot-state',
      'change-byte',
      'drop-caches',
      'file-place',
      'fill-disk',
      'join-socket',
      'list-folder',
      'mount-memory',
      'mount-volume',
      'persist-plant',
      'put-file',
      'read-text',
      'remove-file',
      'run-program',
      'run-together',
      'set-clock',
      'show-file',
      'unmount',
      'usr-data-control',
    ]);
  });

  it('has a control for every attack inside the host', () => {
    const inBoot = ['verity-foreign', 'verity-swapped'];
    const controlled = [...unprotectedAttacks, ...unlockedAttacks, ...inBoot];
    const attacks = attackRows.filter(({ stage }) => stage === 'intruder').map(({ id }) => id);
    assert.deepEqual(
      attacks.filter((id) => !controlled.includes(id)),
      [],
    );
    assert.deepEqual(
      controlled.filter((id) => !attacks.includes(id)),
      [],
    );
  });
});
