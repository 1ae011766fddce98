import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { scratch } from '@osguard/testkit';

import { examineMachine } from '../src/index.ts';

const everything = [
  'kvm',
  'qemu-system-x86_64',
  'qemu-img',
  'swtpm',
  'ovmf',
  'mirror',
  'mmdebstrap',
  'user-namespaces',
  'subordinate-ids',
  'cache',
  'memory',
  'node',
];

describe('examineMachine', () => {
  it('answers every question in words, and mends what is missing', async () => {
    using folder = scratch('doctor');
    const findings = await examineMachine({ cache: folder.path });
    assert.deepEqual(
      findings.map((finding) => finding.id),
      everything,
    );
    for (const finding of findings) {
      assert.ok(finding.found !== '' && finding.meaning !== '', finding.id);
      if (finding.state === 'missing' && finding.id !== 'mirror') assert.ok(finding.mend, finding.id);
    }
  });

  it('reports a cache folder that cannot be written', async () => {
    const findings = await examineMachine({ cache: '/dev/null/osguard' });
    const cache = findings.find((finding) => finding.id === 'cache');
    assert.equal(cache?.state, 'missing');
    assert.match(cache?.mend ?? '', /XDG_CACHE_HOME/);
  });

  it('reports a mirror that cannot be used', async () => {
    using folder = scratch('doctor');
    const findings = await examineMachine({ cache: folder.path, mirror: 'not an address' });
    assert.equal(findings.find((finding) => finding.id === 'mirror')?.state, 'missing');
  });
});
