import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import {
  debianRepositories,
  parseAptConfig,
  parseDeb822Sources,
  parseOneLineSources,
  parseStanzas,
} from '../src/apt/apt-text.ts';

describe('apt-config dump', () => {
  it('collects values under their key and lists under the key without colons', () => {
    const config = parseAptConfig(
      'Dir "/";\nAcquire::http::Proxy "http://p:3128/";\nDPkg::Pre-Invoke:: "one";\nDPkg::Pre-Invoke:: "two";\nAPT "";\n',
    );
    assert.deepEqual(config.get('Acquire::http::Proxy'), ['http://p:3128/']);
    assert.deepEqual(config.get('DPkg::Pre-Invoke'), ['one', 'two']);
    assert.equal(config.has('APT'), false);
  });

  it('keeps quotes and semicolons inside values and leaves broken lines out', () => {
    const config = parseAptConfig('A::B "x "quoted"; y";\nno value\nC "unterminated\n "empty key";\n');
    assert.deepEqual([...config], [['A::B', ['x "quoted"; y']]]);
  });
});

describe('one-line sources', () => {
  it('reads options, several components and comments', () => {
    const sources = parseOneLineSources(
      [
        '# deb http://commented/ bookworm main',
        'deb [arch=amd64 signed-by=/k/a.gpg,/k/b.gpg] http://m/debian bookworm main contrib # trailing',
        '  deb-src http://m/debian bookworm main',
        'deb http://flat/repo ./',
        'deb [broken http://m/debian bookworm main',
        'deb http://nosuite',
      ].join('\n'),
    );
    assert.deepEqual(
      sources.map(({ types, uris, suites, components, signedBy }) => [
        types,
        uris,
        suites,
        components,
        signedBy,
      ]),
      [
        [['deb'], ['http://m/debian'], ['bookworm'], ['main', 'contrib'], '/k/a.gpg /k/b.gpg'],
        [['deb-src'], ['http://m/debian'], ['bookworm'], ['main'], undefined],
        [['deb'], ['http://flat/repo'], ['./'], [], undefined],
        [['deb'], ['[broken'], ['http://m/debian'], ['bookworm', 'main'], undefined],
      ],
    );
  });
});

describe('deb822 sources', () => {
  it('reads stanzas with comments, continuation lines and an armoured key', () => {
    const [source, ...others] = parseDeb822Sources(
      [
        'Types: deb deb-src',
        '# a comment between fields',
        'URIs: http://m/debian',
        '  http://n/debian',
        'Suites: trixie trixie-updates',
        'Components: main',
        'Signed-By:',
        ' -----BEGIN PGP PUBLIC KEY BLOCK-----',
        ' .',
        ' mQINBF',
        ' -----END PGP PUBLIC KEY BLOCK-----',
        '',
        'Types: deb',
        'URIs: http://off/',
        'Suites: trixie',
        'Enabled: no',
        '',
        'nonsense without colon',
      ].join('\n'),
    );
    assert.equal(others.length, 0);
    assert.deepEqual(source?.uris, ['http://m/debian', 'http://n/debian']);
    assert.deepEqual(source?.suites, ['trixie', 'trixie-updates']);
    assert.equal(
      source?.signedBy,
      '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBF\n-----END PGP PUBLIC KEY BLOCK-----',
    );
  });

  it('takes field names in any case and Windows line ends', () => {
    const [source] = parseDeb822Sources(
      'TYPES: deb\r\nuris: http://m/\r\nSuites: sid\r\ncomponents: main\r\n',
    );
    assert.deepEqual(source?.components, ['main']);
  });
});

describe('indextargets', () => {
  it('names the repositories whose Release says Debian, once each, with one slash', () => {
    const text =
      'MetaKey: a\nOrigin: Debian\nRepo-URI: http://m/debian\n\nOrigin: Other\nRepo-URI: http://o/\n\nRepo-URI: http://none/\n';
    assert.deepEqual([...debianRepositories(text)], ['http://m/debian/']);
  });
});

describe('hostile text', () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom('deb [', ' ', '\t.', 'Types:', ':', '::', '#', 'A "', '";', 'deb [] x y', '\r'),
  );
  it('never throws and never hangs', () => {
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.join('\n');
        for (const parse of [
          parseAptConfig,
          parseStanzas,
          parseDeb822Sources,
          parseOneLineSources,
          debianRepositories,
        ])
          parse(text);
      }),
    );
    const long = `deb ${'['.repeat(200_000)} ${' '.repeat(200_000)}`;
    const started = performance.now();
    parseOneLineSources(long);
    parseDeb822Sources(long);
    parseAptConfig(long);
    assert.ok(performance.now() - started < 2000);
  });
});
