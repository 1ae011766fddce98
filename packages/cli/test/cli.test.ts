import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { initKeys } from '@osguard/keys';
import { makePe, scratch } from '@osguard/testkit';
import { commands } from '../src/commands/index.ts';
import { osguard } from './osguard.ts';

/** Made once: RSA keys take their time. */
const shared = scratch('cli-keys');
const keys = shared.file('keys');
before(async () => {
  await initKeys(keys);
});
after(() => shared[Symbol.dispose]());

const good = `policy_name=t policy_version=1.0.0
DEFAULT action=DENY
op=EXECUTE boot_verified=TRUE action=ALLOW
op=EXECUTE dmverity_signature=TRUE action=ALLOW
`;

test('help lists every command, each explains itself with an example', async () => {
  const { status, stdout, stderr } = await osguard(['--help']);
  assert.deepEqual([status, stderr], [0, '']);
  for (const { path, summary } of commands) {
    assert(stdout.includes(`  ${path.join(' ')}`), path.join(' '));
    assert(stdout.includes(summary.slice(0, 30)));
  }
  assert.equal((await osguard([])).stdout, stdout);
  for (const { path, load } of commands) {
    const { examples } = await load();
    assert(examples.length > 0, path.join(' '));
    for (const { line } of examples) assert(line.startsWith(`osguard ${path.join(' ')}`), line);
    const help = await osguard([...path, '--help']);
    assert.equal(help.status, 0);
    assert.equal((await osguard(['help', ...path])).stdout, help.stdout);
    assert(help.stdout.includes(`$ ${examples[0]?.line}`));
    assert(help.stdout.includes('--json'));
  }
});

test('wrong use: exit status 2, nothing on stdout, and what was meant', async () => {
  const cases: [string[], RegExp][] = [
    [['kyes', 'init'], /did you mean keys\?/],
    [['keys', 'inti'], /did you mean init\?/],
    [['keys', 'init', '--dri', 'x'], /did you mean --dir\?/],
    [['explain'], /did you mean osguard ipe explain\?/],
    [['keys'], /osguard keys needs a verb: init, show/],
    [['ipe', 'check'], /missing required argument 'policy'/],
    [['ipe', 'explain', 'x', '--op', 'RUN'], /Allowed choices are EXECUTE/],
    [['keys', 'init', '--days', '0'], /expected a whole number, 1 to 36500/],
    [['keys', 'show', 'extra'], /too many arguments/],
  ];
  for (const [args, says] of cases) {
    const { status, stdout, stderr } = await osguard(args);
    assert.deepEqual([status, stdout], [2, ''], args.join(' '));
    assert.match(stderr, says);
  }
});

test('--json: one document on stdout whatever happens', async () => {
  using dir = scratch('cli');
  writeFileSync(dir.file('good.pol'), good);
  writeFileSync(dir.file('bad.pol'), 'policy_name=t\n');
  const cases: [string[], number][] = [
    [['ipe', 'check', dir.file('good.pol')], 0],
    [['ipe', 'check', dir.file('bad.pol')], 1],
    [['ipe', 'explain', dir.file('good.pol')], 1],
    [['ipe', 'explain', dir.file('bad.pol')], 2],
    [['ipe', 'explain', dir.file('none')], 2],
    [['ipe', 'nothing'], 2],
    [['keys', 'show', '--dir', dir.file('none')], 2],
  ];
  for (const [args, expected] of cases) {
    const { status, stdout, stderr } = await osguard(['--json', ...args]);
    assert.equal(status, expected, args.join(' '));
    assert.equal(stderr, '');
    const document = JSON.parse(stdout) as { error?: { code: string; message: string; exitCode: number } };
    assert.equal(document.error?.exitCode, expected === 2 ? 2 : undefined);
    assert.equal((await osguard([...args, '--json'])).stdout, stdout, 'before or behind the command');
  }
});

test('a mistake in a file is shown where it is', async () => {
  using dir = scratch('cli');
  writeFileSync(
    dir.file('p'),
    'policy_name=t policy_version=1.0.0\nDEFAULT action=DENY\nop=EXEC action=ALLOW\n',
  );
  const { status, stdout } = await osguard(['ipe', 'check', dir.file('p')]);
  assert.equal(status, 1);
  assert(stdout.includes(`at ${dir.file('p')}:3:1`));
  assert(stdout.includes('  3 | op=EXEC action=ALLOW\n    | ^^^^^^^\n'));
  const explained = await osguard(['ipe', 'explain', dir.file('p'), '--debug']);
  assert.equal(explained.status, 2);
  assert.match(explained.stderr, /\^\^\^/);
  assert.match(explained.stderr, /at .*input\.ts/, '--debug shows the stack');
});

test('colours only when wanted, and escape sequences in files do not reach the terminal', async () => {
  using dir = scratch('cli');
  writeFileSync(dir.file('p'), good.replace('policy_name=t', 'policy_name=\u001b[31mred'));
  const plain = await osguard(['ipe', 'check', dir.file('p')]);
  assert(!plain.stdout.includes('\u001b'));
  assert(plain.stdout.includes('\\x1b[31mred'));
  assert(
    (await osguard(['ipe', 'check', dir.file('p')], { env: { FORCE_COLOR: '1' } })).stdout.includes(
      '\u001b[32m',
    ),
  );
  const both = { env: { FORCE_COLOR: '1', NO_COLOR: '1' } };
  assert(!(await osguard(['ipe', 'check', dir.file('p')], both)).stdout.includes('\u001b'));
});

test('keys init, keys show, ipe sign', async () => {
  using dir = scratch('cli');
  const own = dir.file('keys');
  const made = await osguard(['keys', 'init', '--dir', own, '--json']);
  assert.equal(made.status, 0, made.stderr);
  assert.equal(statSync(join(own, 'boot.key')).mode & 0o777, 0o600);
  assert(!made.stdout.includes('PRIVATE'));
  assert.equal((await osguard(['keys', 'init', '--dir', own])).status, 2, 'never overwritten');
  assert.match(
    (await osguard(['keys', 'show', '--dir', own])).stdout,
    /^boot\n {2}subject +CN=osguard boot$/m,
  );
  writeFileSync(dir.file('host.pol'), good);
  const signed = await osguard(['ipe', 'sign', dir.file('host.pol'), '--keys', own]);
  assert.equal(signed.status, 0, signed.stderr);
  assert(readFileSync(dir.file('host.p7b')).includes(good), 'the policy is inside');
  writeFileSync(dir.file('bad.pol'), 'nothing');
  const refused = await osguard(['ipe', 'sign', dir.file('bad.pol'), '--keys', own, '-o', dir.file('x.p7b')]);
  assert.equal(refused.status, 2);
  assert.equal(statSync(dir.file('x.p7b'), { throwIfNoEntry: false }), undefined);
});

test('verity format, verify and sign; a changed byte is the answer no', async () => {
  using dir = scratch('cli');
  const [data, tree, hash] = [dir.file('data'), dir.file('tree'), dir.file('hash')];
  writeFileSync(data, Buffer.alloc(40_960, 'osguard'));
  const made = await osguard([
    'verity',
    'format',
    data,
    tree,
    '--salt',
    'aabb',
    '--root-hash-file',
    hash,
    '--json',
  ]);
  assert.equal(made.status, 0, made.stderr);
  const { rootHash, superblock } = JSON.parse(made.stdout) as { rootHash: string; superblock: boolean };
  assert.equal(superblock, true);
  assert.equal(readFileSync(hash, 'utf8'), rootHash);
  assert.match((await osguard(['verity', 'verify', data, tree, rootHash])).stdout, /verified: 6 checks\n$/);
  const bare = await osguard([
    'verity',
    'format',
    data,
    dir.file('bare'),
    '--no-superblock',
    '--salt',
    '-',
    '--json',
  ]);
  assert.equal((JSON.parse(bare.stdout) as { superblock: boolean }).superblock, false);
  writeFileSync(data, Buffer.alloc(40_960, 'osguarD'));
  const bad = await osguard(['verity', 'verify', data, tree, `@${hash}`]);
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /bad data block 0 at byte 0\n/);
  assert.match(bad.stdout, /NOT verified: 1 of 6 checks failed\n$/);
  const signed = await osguard(['verity', 'sign', `@${hash}`, '--keys', keys, '-o', dir.file('p7s')]);
  assert.equal(signed.status, 0, signed.stderr);
  assert(statSync(dir.file('p7s')).size > 100);
  assert.equal((await osguard(['verity', 'sign', 'abc', '--keys', keys])).status, 2);
});

test('the definition schema is one JSON document either way', async () => {
  const plain = await osguard(['image', 'schema']);
  assert.equal(plain.stdout, (await osguard(['image', 'schema', '--json'])).stdout);
  assert.equal((JSON.parse(plain.stdout) as { type: string }).type, 'object');
});

test('uki build and inspect', async () => {
  using dir = scratch('cli');
  const image = dir.file('x.efi');
  const pe = dir.file('pe');
  writeFileSync(pe, makePe({}));
  const parts = ['--stub', pe, '--linux', pe, '--cmdline', 'quiet'];
  const built = await osguard(['uki', 'build', ...parts, '--keys', keys, '-o', image]);
  assert.equal(built.status, 0, built.stderr);
  const tree = await osguard(['image', 'inspect', image]);
  assert.equal(tree.status, 0, tree.stderr);
  assert.match(tree.stdout, /signed by CN=osguard boot/);
  assert.match(tree.stdout, /command line\n.*- quiet\n/);
  assert.equal((await osguard(['image', 'diff', image, image])).status, 0);
  const other = dir.file('y.efi');
  const loud = ['--stub', pe, '--linux', pe, '--cmdline', 'debug'];
  assert.equal((await osguard(['uki', 'build', ...loud, '-o', other])).status, 0);
  const difference = await osguard(['image', 'diff', image, other]);
  assert.equal(difference.status, 1, difference.stderr);
  assert.match(difference.stdout, /command line -1 \+1\n/);
  const seen = await osguard(['uki', 'inspect', image, '--trust', keys, '--json']);
  assert.equal(seen.status, 0, seen.stderr);
  const { trusted, sections } = JSON.parse(seen.stdout) as {
    trusted: boolean;
    sections: { name: string; text?: string }[];
  };
  assert.equal(trusted, true);
  assert.equal(sections.find(({ name }) => name === '.cmdline')?.text, 'quiet');
  assert.equal((await osguard(['uki', 'inspect', pe, '--trust', keys])).status, 1, 'not signed');
});

test('image verify: what is no image, or not there, is told apart from the answer no', async () => {
  using dir = scratch('cli');
  writeFileSync(dir.file('disk.raw'), Buffer.alloc(1_048_576));
  const blank = await osguard(['image', 'verify', dir.file('disk.raw'), '--trust', keys, '--json']);
  assert.equal(blank.status, 1);
  const { ok, checks } = JSON.parse(blank.stdout) as { ok: boolean; checks: { ok: boolean }[] };
  assert.equal(ok, false);
  assert(checks.length > 0 && checks.every((check) => !check.ok));
  assert.equal((await osguard(['image', 'verify', dir.path, '--trust', keys])).status, 2);
  assert.equal((await osguard(['image', 'verify', dir.file('none'), '--trust', keys])).status, 2);
  assert.equal(
    (await osguard(['image', 'verify', dir.file('disk.raw'), '--trust', dir.file('none')])).status,
    2,
  );
});
