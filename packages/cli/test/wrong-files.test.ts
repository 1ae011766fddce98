/** Whatever file a person names by mistake: the answer names it, and is never "a mistake in osguard". */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { initKeys } from '@osguard/keys';
import { scratch } from '@osguard/testkit';
import { osguard } from './osguard.ts';

const shared = scratch('wrong-files');
before(async () => {
  await initKeys(shared.file('keys'));
  writeFileSync(shared.file('empty'), '');
  writeFileSync(shared.file('rubbish'), Buffer.alloc(70_000, 'no such format '));
  // Sparse: nothing of it may be read into memory.
  writeFileSync(shared.file('huge'), '');
  truncateSync(shared.file('huge'), 2 ** 40);
  mkdirSync(shared.file('folder'));
  writeFileSync(shared.file('t.pol'), 'policy_name=t policy_version=1.0.0\nDEFAULT action=DENY\n');
});
after(() => shared[Symbol.dispose]());

const rootHash = 'ab'.repeat(32);

/** Command lines with `FILE` where the wrong one stands. */
const lines: readonly string[] = [
  'keys show --dir FILE',
  'image build -f FILE -o out',
  'image verify FILE',
  'image inspect FILE',
  'image diff FILE FILE',
  'vm run FILE',
  'prove FILE',
  `verity verify FILE FILE ${rootHash}`,
  'verity sign @FILE',
  `verity sign ${rootHash} --keys FILE`,
  'uki build --linux FILE --stub FILE -o out',
  'uki inspect FILE',
  'uki inspect t.pol --trust FILE',
  'uki measure FILE',
  'ipe check FILE',
  'ipe check t.pol --previous FILE',
  'ipe explain FILE',
  'ipe sign FILE',
  'ipe sign t.pol --keys FILE',
  'layers revoke --keys FILE',
  'attest demo FILE',
  'layers demo FILE',
];

for (const wrong of ['missing', 'empty', 'rubbish', 'huge', 'folder']) {
  test(`a file that is ${wrong}`, async () => {
    const found = readdirSync(shared.path);
    for (const line of lines) {
      const words = line.split(' ').map((word) => word.replace('FILE', wrong));
      const { status, stdout, stderr } = await osguard(['--json', ...words], { cwd: shared.path });
      const said = `${words.join(' ')}: ${status} ${stdout}${stderr}`;
      const document = JSON.parse(stdout) as { error?: { code: string; message: string; exitCode: number } };
      // A look into something is not possible; a check of it may say no.
      assert(status === 2 || (status === 1 && /verify|check/.test(line)), said);
      assert.equal(document.error?.exitCode, status === 2 ? 2 : undefined, said);
      if (document.error === undefined) continue;
      assert(document.error.message.includes(wrong), said);
      assert.doesNotMatch(document.error.code, /internal|^E[A-Z]+$(?<!ENOENT)/, said);
    }
    assert.deepEqual(readdirSync(shared.path), found, 'nothing is left behind');
  });
}

test('a result that has no place is said before the work', async () => {
  writeFileSync(shared.file('data'), Buffer.alloc(8192));
  for (const line of [
    `verity sign ${rootHash} -o none/x.p7s`,
    'verity format data tree --root-hash-file none/x',
    'ipe sign t.pol -o none/x.p7b',
    'prove out --html none/x.html',
  ]) {
    const { status, stderr } = await osguard(line.split(' '), { cwd: shared.path });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /none/, line);
    assert.doesNotMatch(stderr, /\.tmp|mistake in osguard/, line);
  }
  assert(!existsSync(shared.file('tree')));
});

test('a missing file is looked for where the person is', async () => {
  const { stderr } = await osguard(['ipe', 'check', 'none.pol'], { cwd: shared.path });
  assert.equal(stderr, `error: none.pol: no such file or folder\nhint: looked in ${shared.path}\n`);
});
