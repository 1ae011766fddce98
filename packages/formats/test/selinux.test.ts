import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge, noJudge, scratch, seededRandom } from '@osguard/testkit';
import { FormatError } from '../src/bytes/index.ts';
import type { FileContexts, FileType } from '../src/selinux/index.ts';
import {
  compileFileContexts,
  compileRegex,
  fileTypes,
  parseFileContexts,
  parseFileContextSubs,
} from '../src/selinux/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const context = (type: string): string => `system_u:object_r:${type}_t:s0`;

function contexts(lines: readonly string[], more: { subs?: string; subsDist?: string } = {}): FileContexts {
  const text = lines.map((line) =>
    line.replace(/(\S+)$/, (type) => (type === '<<none>>' ? type : context(type))),
  );
  return compileFileContexts({
    specs: parseFileContexts(bytes(text.join('\n'))),
    subs: parseFileContextSubs(bytes(more.subs ?? '')),
    subsDist: parseFileContextSubs(bytes(more.subsDist ?? '')),
  });
}

function typeOf(label: string | undefined): string | undefined {
  return label?.replace(/.*:(\w+)_t:s0/, '$1');
}

test('the last matching pattern decides, a literal path beats every pattern', () => {
  const labels = contexts([
    '/usr/bin/bash -- shell',
    '/.* default',
    '/usr(/.*)? usr',
    '/usr/bin/.* -- bin',
    '/usr/b.* -d odd',
    '/run/.* <<none>>',
  ]);
  const label = (path: string, type?: FileType): string | undefined => typeOf(labels.labelFor(path, type));
  assert.equal(label('/usr/bin/bash', 'file'), 'shell');
  assert.equal(label('/usr/bin/bash', 'symlink'), 'usr');
  assert.equal(label('/usr/bin/bash'), 'shell', 'without a type the type is not compared');
  assert.equal(label('/usr/bin/cat', 'file'), 'bin');
  assert.equal(label('/usr/bin', 'directory'), 'odd');
  assert.equal(label('//usr//bin/cat/', 'file'), 'bin');
  assert.equal(label('/usr', 'directory'), 'usr');
  assert.equal(label('/usrx', 'directory'), 'default');
  assert.equal(label('/run/x', 'file'), undefined);
  assert.equal(labels.specFor('/usr/bin/cat', 'file')?.line, 4);
});

test('among equal literal paths the one with the type decides, then the last', () => {
  const labels = contexts([
    '/a\\.b any1',
    '/a\\.b -- file1',
    '/a\\.b any2',
    '/a\\.b -- file2',
    '/a\\.b -d dir',
  ]);
  assert.equal(typeOf(labels.labelFor('/a.b', 'file')), 'file2');
  assert.equal(typeOf(labels.labelFor('/a.b', 'directory')), 'dir');
  assert.equal(typeOf(labels.labelFor('/a.b', 'symlink')), 'any2');
});

test('substitutions: .subs, then .subs_dist, the last line first, whole names only', () => {
  const labels = contexts(['/.* root', '/usr/lib(/.*)? lib', '/etc/.* etc'], {
    subs: '/opt/x /lib64\n',
    subsDist:
      '# comment\n/lib64 /usr/lib\n/lib /nowhere\n/lib /usr/lib\nalone\n /usr/share/factory/etc  /etc\n/slash /\n',
  });
  assert.equal(typeOf(labels.labelFor('/lib/x')), 'lib');
  assert.equal(typeOf(labels.labelFor('/lib64')), 'lib');
  assert.equal(typeOf(labels.labelFor('/libx/x')), 'root');
  assert.equal(typeOf(labels.labelFor('/opt/x/y')), 'lib', 'both files are applied');
  assert.equal(typeOf(labels.labelFor('/usr/share/factory/etc/passwd')), 'etc');
  assert.equal(typeOf(labels.labelFor('/slash/etc/passwd')), 'etc');
});

function refuses(line: string): void {
  assert.throws(
    () => compileFileContexts({ specs: parseFileContexts(bytes(`# first\n${line}\n`), 'fc') }),
    (error) => error instanceof FormatError && error.message.startsWith('fc:2: '),
    line,
  );
}

test('mistakes name file and line', () => {
  for (const line of [
    '/a',
    '/a -x u:r:t',
    '/a nothing',
    '/\u00e4 u:r:t',
    '/a( u:r:t',
    '/a) u:r:t',
    '/a[b u:r:t',
    '/a[z-a] u:r:t',
    '/*?? u:r:t',
    '/(a)\\1 u:r:t',
    '/(?=a) u:r:t',
    '/(?i)a u:r:t',
    '/a*+b u:r:t',
    '/a\\bb u:r:t',
    '/a$b u:r:t',
    '/((a{255}){255}){255} u:r:t',
    `/${'('.repeat(70)}a${')'.repeat(70)} u:r:t`,
  ]) {
    refuses(line);
  }
});

test('patterns that make backtracking matchers hang are linear here', () => {
  const path = `/${'a'.repeat(4095)}`;
  const started = performance.now();
  for (const pattern of [
    '/(a*)*b',
    '/(a|a)*b',
    '/(a|aa)+b',
    `/${'a?'.repeat(200)}b`,
    `${'/?.*'.repeat(40)}b`,
  ]) {
    assert.equal(compileRegex(pattern).matches(path), false, pattern);
  }
  assert(performance.now() - started < 2000);
});

test('many states do not pile up', () => {
  const matcher = compileRegex('/.*a[ab]{14}');
  const random = seededRandom(1);
  const reference = /^\/.*a[ab]{14}$/;
  for (let round = 0; round < 50; round += 1) {
    const path = `/${Array.from({ length: 300 }, () => (random.below(2) === 0 ? 'a' : 'b')).join('')}`;
    assert.equal(matcher.matches(path), reference.test(path));
  }
});

const piece = fc.constantFrom(
  'a',
  'b',
  '/',
  '.',
  '\\.',
  '[ab]',
  '[^/]',
  '[^a]',
  '[a-c.]',
  '\\d',
  '[[:alpha:]]',
  '[]a]',
  '\\x61',
  '(a|b/)',
  '(/.*)',
);
const quantified = fc
  .tuple(piece, fc.constantFrom('', '', '', '?', '*', '+', '{2}', '{1,3}', '{2,}', '*?'))
  .map(([atom, quantifier]) => atom + quantifier);
const sequence = fc.array(quantified, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));
const pattern = fc.oneof(
  sequence,
  fc.tuple(sequence, sequence, sequence).map(([a, b, c]) => `${a}(${b}|${c})?`),
  fc.tuple(sequence, sequence).map(([a, b]) => `(${a}(${b})*)+`),
);
const path = fc
  .array(fc.constantFrom('a', 'b', 'c', '/', '.', '1', ']', 'aa', 'a/b'), { maxLength: 8 })
  .map((parts) => `/${parts.join('')}`);

test('property: the same paths match as with a backtracking matcher', () => {
  fc.assert(
    fc.property(pattern, fc.array(path, { maxLength: 10 }), (text, paths) => {
      const js = text.replaceAll('[[:alpha:]]', '[A-Za-z]').replaceAll('[]a]', '[\\]a]');
      const reference = new RegExp(`^(?:/${js})$`, 's');
      const matcher = compileRegex(`/${text}`);
      for (const one of paths) assert.equal(matcher.matches(one), reference.test(one), `${text} ${one}`);
    }),
    { numRuns: 500 },
  );
});

const matchpathcon = judge('matchpathcon');
const modes = ['file', 'dir', 'link', 'char', 'block', 'pipe', 'socket'];

function theirs(file: string, type: FileType, paths: readonly string[]): string[] {
  const mode = modes[fileTypes.indexOf(type)] ?? '';
  const { stdout } = matchpathcon?.run(['-n', '-N', '-f', file, '-m', mode, ...paths]) ?? { stdout: '' };
  return stdout.split('\n').slice(0, -1);
}

function compare(labels: FileContexts, file: string, paths: ReadonlyMap<FileType, readonly string[]>): void {
  for (const [type, some] of paths) {
    const expected = theirs(file, type, some);
    assert.equal(expected.length, some.length);
    for (const [index, one] of some.entries()) {
      assert.equal(labels.labelFor(one, type) ?? '<<none>>', expected[index], `${type} ${one}`);
    }
  }
}

test(
  'judge: matchpathcon agrees on made-up policies',
  { skip: matchpathcon === undefined && noJudge('matchpathcon') },
  () => {
    using dir = scratch('selinux');
    const flags = ['', '', '--', '-d', '-l', '-c', '-b', '-p', '-s'];
    const line = fc
      .tuple(
        fc.constantFrom('/', '/usr/', '/usr/a', '/a/b/', '/a'),
        pattern,
        fc.constantFrom(...flags),
        fc.nat(30),
      )
      .map(
        ([start, rest, flag, type]) =>
          `${start}${rest} ${flag} ${type === 0 ? '<<none>>' : context(`t${type}`)}`,
      );
    const tail = fc.constantFrom('/usr', '/usr/a', '/usr//b', '/a/b', '/lib', '', '/x');
    const paths = fc.array(
      fc.tuple(tail, path).map(([start, rest]) => `${start}${rest}`.replace(/(?<=.)\/+$/, '')),
      { minLength: 1, maxLength: 60 },
    );
    const subs = '/lib /usr\n/x /a\n/x/b /usr/a\n';
    writeFileSync(dir.file('fc.subs_dist'), subs);
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 30 }),
        paths,
        fc.constantFrom(...fileTypes),
        (lines, some, type) => {
          const text = `${lines.join('\n')}\n`;
          writeFileSync(dir.file('fc'), text);
          const specs = parseFileContexts(bytes(text));
          const labels = compileFileContexts({ specs, subsDist: parseFileContextSubs(bytes(subs)) });
          compare(labels, dir.file('fc'), new Map([[type, some]]));
        },
      ),
      { numRuns: 60 },
    );
  },
);

const installed = process.env['OSGUARD_FILE_CONTEXTS'] ?? '/etc/selinux/default/contexts/files/file_contexts';
const noPolicy = existsSync(installed)
  ? matchpathcon === undefined && noJudge('matchpathcon')
  : `no ${installed}`;

test(
  "judge: matchpathcon agrees on a distribution's policy, and a /usr is labelled in a second",
  { skip: noPolicy },
  () => {
    const load = (suffix: string): Uint8Array =>
      existsSync(installed + suffix) ? readFileSync(installed + suffix) : new Uint8Array();
    const specs = ['', '.homedirs', '.local'].flatMap((suffix) => parseFileContexts(load(suffix), suffix));
    const labels = compileFileContexts({
      specs,
      subs: parseFileContextSubs(load('.subs')),
      subsDist: parseFileContextSubs(load('.subs_dist')),
    });
    const random = seededRandom(7);
    const pick = <T>(from: ArrayLike<T>): T | undefined => from[random.below(from.length)];
    const paths = new Map<FileType, string[]>();
    let count = 0;
    for (const spec of specs) {
      for (let round = 0; round < 3; round += 1) {
        const made = spec.pattern
          .replaceAll(/\\(.)/g, '$1')
          .replaceAll(/\[\^?([^\]]*)\]/g, (_, set: string) => pick(set) ?? '')
          .replaceAll(/\(([^()|]*)(?:\|[^()]*)?\)[?*]?/g, (_, first: string) => pick([first, '']) ?? '')
          .replaceAll(/\.[*+]/g, () => pick(['', 'x', 'a/b', 'lib.so.1', '.cgi']) ?? '')
          .replaceAll(/[()?+*|{}]/g, '')
          .replaceAll(/\/{2,}/g, '/');
        const clean = made.length > 1 ? made.replace(/\/$/, '') : made;
        const type = pick(fileTypes) ?? 'file';
        const some = paths.get(type) ?? [];
        if (clean.startsWith('/')) some.push(clean);
        paths.set(type, some);
        count += 1;
      }
    }
    const started = performance.now();
    for (const [type, some] of paths) for (const one of some) labels.labelFor(one, type);
    const perPath = (performance.now() - started) / count;
    assert(perPath * 12_000 < 1000, `${perPath} ms per path`);
    compare(labels, installed, paths);
  },
);
