import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge, noJudge } from '@osguard/testkit';
import { FormatError } from '../src/bytes/index.ts';
import { compareDebianVersions, parseDeb822, parsePackageList } from '../src/deb822/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf8'));

test('fields, continued lines, stanzas and places', () => {
  const text =
    '\n\nPackage: a\nDescription: short \n long one\n .\n  indented\nempty:\n\n \nPackage: b\r\n# no comment: 1\r\n';
  const [first, second, ...more] = parseDeb822(bytes(text.replace('# no comment: 1\r\n', '')));
  assert.equal(more.length, 0);
  assert.equal(first?.get('DESCRIPTION'), 'short\nlong one\n.\n indented');
  assert.equal(first?.get('Empty'), '');
  assert.equal(first?.get('none'), undefined);
  assert.deepEqual(first?.fields[1]?.at, { line: 4, column: 1, offset: 13 });
  assert.equal(second?.get('package'), 'b');
  assert.throws(() => [...parseDeb822(bytes(text))], FormatError, 'comments only where they are allowed');
  assert.equal([...parseDeb822(bytes(text), { comments: true })].length, 2);
});

test('what is refused', () => {
  for (const text of [
    ' continued: nothing\n',
    'no colon\n',
    'a b: c\n',
    ': x\n',
    '-a: x\n',
    'A: 1\na: 2\n',
    'A: \0\n',
    '-----BEGIN PGP SIGNED MESSAGE-----\n',
  ]) {
    assert.throws(() => [...parseDeb822(bytes(text))], FormatError, JSON.stringify(text));
  }
  for (const text of [
    'Package: a\n',
    'Package: A\nVersion: 1\nArchitecture: all\n',
    'Package: ab\nVersion: 1 2\nArchitecture: all\n',
  ]) {
    assert.throws(() => parsePackageList(bytes(text)), FormatError, text);
  }
});

test('an index stanza', () => {
  const digest = 'ab'.repeat(32);
  const text = `Package: libfoo1\nSource: foo (1:2-3)\nVersion: 1:2-3+b1\nInstalled-Size: 12\nArchitecture: amd64
Filename: pool/f.deb\nSize: 77\nSHA256: ${digest}\nDescription: the foo\n more\n`;
  assert.deepEqual(parsePackageList(bytes(text)), [
    {
      name: 'libfoo1',
      version: '1:2-3+b1',
      architecture: 'amd64',
      source: { name: 'foo', version: '1:2-3' },
      essential: false,
      summary: 'the foo',
      installedSize: 12_288,
      file: { path: 'pool/f.deb', size: 77, sha256: digest },
    },
  ]);
});

const dpkgQuery = judge('dpkg-query');
const status = '/var/lib/dpkg/status';
const noStatus = !existsSync(status) ? `no ${status}` : dpkgQuery === undefined && noJudge('dpkg-query');

test("judge: dpkg-query lists the same packages from this machine's status", { skip: noStatus }, () => {
  const format = '${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\n';
  const theirs = dpkgQuery?.run(['-W', '-f', format]).stdout.trim().split('\n').sort();
  const ours = parsePackageList(readFileSync(status))
    .filter((one) => one.status?.endsWith(' installed') === true)
    .map((one) => [one.name, one.version, one.architecture, one.source.name, one.source.version].join(' '));
  assert.deepEqual(ours.sort(), theirs);
});

test('versions in order', () => {
  const sorted = [
    '0',
    '1.0~~',
    '1.0~~a',
    '1.0~',
    '1.0',
    '1.0-0ubuntu1',
    '1.0-1~bpo1',
    '1.0-1',
    '1.0-1+b1',
    '1.0a',
    '1.0+',
    '1.0.1',
    '1.2',
    '1.10',
    '1:0',
    '2:0',
  ];
  for (const [index, version] of sorted.entries()) {
    for (const [other, second] of sorted.entries()) {
      assert.equal(compareDebianVersions(version, second), Math.sign(index - other), `${version} ${second}`);
    }
  }
  assert.equal(compareDebianVersions('1.0', '1.0-0'), 0);
  assert.equal(compareDebianVersions('1.00', '1.0'), 0);
});

const dpkg = judge('dpkg');

test('judge: dpkg --compare-versions', { skip: dpkg === undefined && noJudge('dpkg') }, () => {
  const part = fc.stringMatching(/^[0-9][0-9a-cA.+~]{0,6}$/);
  const version = fc.tuple(
    fc.constantFrom('', '1:', '0:'),
    part,
    fc.constantFrom('', '-0', '-1', '-1~', '-a1', '-1+b1'),
  );
  const text = version.map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, text, (a, b) => {
      const order = compareDebianVersions(a, b);
      const relation = order < 0 ? 'lt' : order > 0 ? 'gt' : 'eq';
      assert.equal(dpkg?.run(['--compare-versions', a, relation, b]).status, 0, `${a} ${relation} ${b}`);
    }),
    { numRuns: 150 },
  );
});
