import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { PackageURL } from 'packageurl-js';
import { FormatError } from '../src/bytes/index.ts';
import { parsePackageList } from '../src/deb822/index.ts';
import type { SbomInput } from '../src/spdx/index.ts';
import {
  buildSpdx,
  checkSpdx,
  debianLicenseExpression,
  declaredLicense,
  encodePurl,
  encodeSpdx,
  parseSpdx,
  spdxLicense,
} from '../src/spdx/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf8'));
const copyright = bytes(`Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: somebody
License: GPL-2+

Files: b
Copyright: x
License: Expat or Odd One
 the text
 of it

License: GPL-2+
 More text
`);

const input: SbomInput = {
  name: 'container-host',
  version: '1.0',
  created: 1_700_000_000,
  tool: 'osguard-0.1.0',
  namespace: 'https://example.org/sbom',
  distribution: { id: 'debian', version: '13' },
  packages: [
    { name: 'zlib1g', version: '1:1.3', architecture: 'amd64', source: { name: 'zlib', version: '1:1.3' } },
    {
      name: 'libstdc++6',
      version: '14.2.0-19',
      architecture: 'amd64',
      source: { name: 'gcc-14', version: '14.2.0-19' },
      homepage: 'https://gcc.gnu.org/#top',
      summary: 'GNU Standard C++ Library v3',
      sha256: 'ab'.repeat(32),
      copyright,
    },
  ],
  files: [
    { path: '/usr/lib/b', sha1: 'aa'.repeat(20), sha256: 'bb'.repeat(32) },
    { path: '/usr/lib/a ü', sha1: '11'.repeat(20), sha256: 'cc'.repeat(32) },
  ],
};

test('what came from no Debian package is listed with its purl and a licence that is one', () => {
  const components = [
    { type: 'npm', name: '@scope/name', version: '1.2.3', license: '(MIT OR Apache-2.0)' },
    { type: 'npm', name: 'odd', version: '2', license: 'SEE LICENSE IN README' },
    { type: 'generic', name: 'node', version: '24.21.0' },
  ] as const;
  const document = buildSpdx({ ...input, components });
  assert.deepEqual(
    document.packages
      .slice(3)
      .map(({ externalRefs, licenseDeclared }) => [externalRefs?.[0]?.referenceLocator, licenseDeclared]),
    [
      ['pkg:generic/node@24.21.0', 'NOASSERTION'],
      ['pkg:npm/%40scope/name@1.2.3', '(MIT OR Apache-2.0)'],
      ['pkg:npm/odd@2', 'NOASSERTION'],
    ],
  );
  assert.deepEqual([...checkSpdx(document)], []);
  assert.deepEqual(buildSpdx({ ...input, components: components.toReversed() }), document);
});

test('a bill of materials: packages with purl and licence, files with digests, all connected', () => {
  const document = buildSpdx(input);
  const [image, first, second] = document.packages;
  assert.equal(
    image?.packageVerificationCode?.packageVerificationCodeValue,
    'b9fa08eb962b594ffc48e5f3c28afbd5ecca8110',
  );
  assert.equal(
    first?.externalRefs?.[0]?.referenceLocator,
    'pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=debian-13',
  );
  assert.equal(first?.licenseDeclared, 'GPL-2.0-or-later AND (MIT OR LicenseRef-Debian-Odd-One)');
  assert.equal(second?.licenseDeclared, 'NOASSERTION');
  assert.deepEqual(
    document.hasExtractedLicensingInfos?.map(({ licenseId, name }) => [licenseId, name]),
    [['LicenseRef-Debian-Odd-One', 'Odd One']],
  );
  assert.deepEqual(
    document.files.map(({ fileName }) => fileName),
    ['./usr/lib/a ü', './usr/lib/b'],
  );
  assert.equal(document.creationInfo.created, '2023-11-14T22:13:20Z');
  assert.equal(document.relationships.length, 5);
  assert.deepEqual(parseSpdx(encodeSpdx(document)), document);
});

test('the same input in any order gives the same bytes, another input another namespace', () => {
  const shuffled = { ...input, packages: input.packages.toReversed(), files: input.files.toReversed() };
  assert.deepEqual(encodeSpdx(buildSpdx(shuffled)), encodeSpdx(buildSpdx(input)));
  const other = buildSpdx({ ...input, files: input.files.slice(1) });
  assert.notEqual(other.documentNamespace, buildSpdx(input).documentNamespace);
});

test('what makes a document invalid', () => {
  const document = buildSpdx(input);
  const [image, first] = document.packages;
  const [file] = document.files;
  assert.deepEqual(checkSpdx(document), []);
  for (const change of [
    { spdxVersion: 'SPDX-2.2' },
    { documentNamespace: 'https://x/#y' },
    { creationInfo: { created: '2023-11-14', creators: ['Tool: x'] } },
    { creationInfo: { ...document.creationInfo, creators: [] } },
    { packages: [image, first, first] },
    { packages: [image] },
    { packages: [{ ...image, packageVerificationCode: undefined }, ...document.packages.slice(1)] },
    { packages: [image, { ...first, licenseDeclared: 'MIT AND' }, document.packages[2]] },
    { hasExtractedLicensingInfos: [] },
    { files: [file] },
    { files: [{ ...file, checksums: file?.checksums.slice(1) }, document.files[1]] },
    { files: [{ ...file, fileName: '/usr/lib/a' }, document.files[1]] },
    { relationships: [] },
  ]) {
    assert.notDeepEqual(checkSpdx({ ...document, ...change }), [], JSON.stringify(change).slice(0, 100));
  }
  assert.throws(() => buildSpdx({ ...input, files: [...input.files, ...input.files] }), FormatError);
  assert.throws(() => parseSpdx(bytes('{}')), FormatError);
  assert.throws(() => parseSpdx(bytes('nothing')), FormatError);
});

test('Debian licence names', () => {
  const cases: Record<string, string | undefined> = {
    'GPL-2': 'GPL-2.0-only',
    'GPL-2+': 'GPL-2.0-or-later',
    'GPL-2.0+': 'GPL-2.0-or-later',
    'GPLv3+': 'GPL-3.0-or-later',
    'GPL-3.0-or-later': 'GPL-3.0-or-later',
    'LGPL-2.1': 'LGPL-2.1-only',
    'LGPL-2': 'LGPL-2.0-only',
    'GFDL-NIV-1.3+': 'GFDL-1.3-no-invariants-or-later',
    'BSD-3-clause': 'BSD-3-Clause',
    Expat: 'MIT',
    Artistic: 'Artistic-1.0-Perl',
    zlib: 'Zlib',
    'GPL-4': undefined,
    GPL: undefined,
    'BSD-like': undefined,
    'public-domain': undefined,
  };
  for (const [name, expected] of Object.entries(cases)) assert.equal(spdxLicense(name), expected, name);
});

const expression = (line: string): string => debianLicenseExpression(line, new Map());

test('Debian licence lines', () => {
  assert.equal(expression('GPL-1+ or Artistic'), 'GPL-1.0-or-later OR Artistic-1.0-Perl');
  assert.equal(expression('GPL-2+ and Expat or ISC'), '(GPL-2.0-or-later AND MIT) OR ISC');
  assert.equal(expression('GPL-2+ or AFL-2.1, and Expat'), '(GPL-2.0-or-later OR AFL-2.1) AND MIT');
  assert.equal(expression('GPL-2 with Linux-syscall-note exception'), 'GPL-2.0-only WITH Linux-syscall-note');
  assert.equal(
    expression('GPL-3+ with GCC-Runtime-3.1 exception'),
    'GPL-3.0-or-later WITH GCC-exception-3.1',
  );
  assert.equal(expression('GPL-2+ with OpenSSL exception'), 'LicenseRef-Debian-GPL-2-with-OpenSSL-exception');
  const references = new Map<string, string>();
  assert.equal(
    debianLicenseExpression('a b and a+b', references),
    'LicenseRef-Debian-a-b AND LicenseRef-Debian-a-b-1',
  );
  assert.deepEqual([...references.values()], ['a b', 'a+b']);
});

test('a licence that several lines name is declared once', () => {
  const lines = ['GPL-2+ and Expat', 'Expat', 'GPL-2+ or AFL-2.1, and ISC', 'AFL-2.1 or GPL-2+'];
  const stanzas = lines.map((line, index) => `\nFiles: ${index}\nLicense: ${line}\n`);
  const head = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n';
  assert.equal(
    declaredLicense(bytes(head + stanzas.join(''))).expression,
    '(AFL-2.1 OR GPL-2.0-or-later) AND GPL-2.0-or-later AND (GPL-2.0-or-later OR AFL-2.1) AND ISC AND MIT',
  );
});

test('a copyright file that is not machine-readable declares nothing', () => {
  for (const text of [
    '',
    'This package was debianized by…\n',
    'Format: http://svn.debian.org/old\n\nFiles: *\nLicense: MIT\n',
    '\0',
  ]) {
    assert.equal(declaredLicense(bytes(text)).expression, undefined);
  }
});

test('property: whatever stands in copyright files, the document is valid', () => {
  const word = fc.constantFrom(
    'GPL-2+',
    'or',
    'and',
    'with',
    'exception',
    ',',
    'MIT',
    'odd',
    'ü',
    '(',
    ')',
    '\n .',
    'AND',
    '-',
  );
  const line = fc.array(word, { maxLength: 12 }).map((words) => words.join(' '));
  fc.assert(
    fc.property(line, fc.string(), (license, name) => {
      const text = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: ${license}\n`;
      const packages = input.packages.map((one) => ({ ...one, copyright: bytes(text) }));
      const document = buildSpdx({ ...input, name: `n${name}`, packages });
      assert.deepEqual(checkSpdx(JSON.parse(JSON.stringify(document))), []);
    }),
  );
});

const status = '/var/lib/dpkg/status';

test(
  "this machine's own packages make a valid document",
  { skip: !existsSync(status) && `no ${status}` },
  () => {
    const packages = parsePackageList(readFileSync(status)).map((one) => {
      const file = `/usr/share/doc/${one.name}/copyright`;
      return existsSync(file) ? { ...one, copyright: readFileSync(file) } : one;
    });
    const document = buildSpdx({ ...input, packages });
    assert.equal(document.packages.length, packages.length + 1);
  },
);

test('package URLs are those of packageurl-js, whatever names and versions hold', () => {
  const text = fc.string({ minLength: 1, unit: fc.constantFrom(...'abzAZ019.+-~:_ /@?#%é'.split('')) });
  const qualifier = fc.string({ minLength: 1, unit: fc.constantFrom(...'abzAZ019.-_'.split('')) });
  const trimmed = text.filter((each) => each.trim() === each && !/^[/@]|[/@]$/.test(each));
  fc.assert(
    fc.property(
      fc.constantFrom('deb' as const, 'generic' as const),
      trimmed,
      trimmed,
      qualifier,
      (type, name, version, arch) => {
        const judged = new PackageURL(type, 'debian', name, version, { arch }, undefined).toString();
        assert.equal(encodePurl({ type, namespace: 'debian', name, version, qualifiers: { arch } }), judged);
      },
    ),
  );
  const scoped = new PackageURL('npm', '@connectrpc', 'connect', '2.2.0', undefined, undefined).toString();
  assert.equal(
    encodePurl({ type: 'npm', namespace: '@connectrpc', name: 'connect', version: '2.2.0' }),
    scoped,
  );
  assert.throws(() => encodePurl({ type: 'deb', name: '', version: '1' }), FormatError);
});
