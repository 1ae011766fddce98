import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';

import { parseDeb822Sources, parseOneLineSources } from '../src/apt/apt-text.ts';
import type { AptFacts } from '../src/apt/index.ts';
import { findMirrors, networkSettings, proxies } from '../src/apt/index.ts';
import { ImageError } from '../src/error.ts';

const facts = (text: string, more: Partial<AptFacts> = {}): AptFacts => ({
  sources: [...parseOneLineSources(text), ...parseDeb822Sources(text)],
  debian: new Set(),
  config: new Map(),
  keyring: '/keyring.gpg',
  ...more,
});

describe('findMirrors', () => {
  it('finds the main and the security mirror of a plain Debian', () => {
    const { main, security } = findMirrors(
      facts(
        'Types: deb\nURIs: http://m/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\n' +
          'Types: deb\nURIs: http://m/debian-security\nSuites: bookworm-security\nComponents: main\n',
      ),
    );
    assert.deepEqual(main, { uri: 'http://m/debian/', signedBy: '/k.gpg' });
    assert.deepEqual(security, { uri: 'http://m/debian-security/', signedBy: '/keyring.gpg' });
  });

  it('is not taken in by third parties that publish a suite of the same name', () => {
    const text =
      'deb [signed-by=/v.gpg] http://vendor/ bookworm main\n' +
      'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://corp/remote bookworm main\n' +
      'deb [signed-by=/w.gpg] http://other/debian bookworm main\n';
    assert.equal(findMirrors(facts(text)).main.uri, 'http://corp/remote/');
    const known = { debian: new Set(['http://vendor/']) };
    assert.equal(findMirrors(facts(text, known)).main.uri, 'http://vendor/');
  });

  it('takes mirror lists as apt does, but no CD-ROM, source-only or flat entry', () => {
    const text =
      'deb cdrom:[Debian]/ bookworm main\ndeb-src http://src/debian bookworm main\ndeb http://flat/ ./\n' +
      'deb mirror+file:/etc/apt/mirrors/debian.list bookworm main\n';
    assert.equal(findMirrors(facts(text)).main.uri, 'mirror+file:/etc/apt/mirrors/debian.list/');
  });

  it('obeys the override, and without a mirror says what to do', () => {
    assert.deepEqual(findMirrors(facts(''), 'http://mine/debian'), {
      main: { uri: 'http://mine/debian/', signedBy: '/keyring.gpg' },
      security: undefined,
    });
    assert.throws(
      () => findMirrors(facts('deb http://u/ubuntu noble main')),
      (error) =>
        error instanceof ImageError &&
        error.code === 'mirror-not-found' &&
        error.exitCode === 3 &&
        /--mirror/.test(error.hint ?? ''),
    );
  });

  it('refuses addresses that would break out of a configuration line', () => {
    assert.throws(() => findMirrors(facts('deb http://m/"; bookworm main')));
    for (const address of ['http://m/\nTrusted: yes', 'http://m/ x', 'm', ''])
      assert.throws(() => findMirrors(facts(''), address), { code: 'definition' });
  });
});

describe('networkSettings', () => {
  it('takes proxies over and nothing that weakens signatures', () => {
    const config = new Map([
      ['Acquire::http::Proxy', ['http://proxy:3128']],
      ['Acquire::https::Verify-Peer', ['false']],
      ['Acquire::Retries', ['3']],
      ['Acquire::AllowInsecureRepositories', ['1']],
      ['APT::Get::AllowUnauthenticated', ['true']],
      ['Acquire::http::Proxy::evil"; x', ['y']],
      ['Acquire::http::User-Agent', ['a"; DPkg::Pre-Invoke "rm']],
    ]);
    assert.deepEqual(networkSettings(config), [
      'Acquire::http::Proxy "http://proxy:3128";',
      'Acquire::https::Verify-Peer "false";',
      'Acquire::Retries "3";',
    ]);
  });
});

test('proxies: https falls back to http, and DIRECT is none', () => {
  const http = ['http://proxy:3128'];
  assert.deepEqual(proxies(new Map([['Acquire::http::Proxy', http]])), { http: http[0], https: http[0] });
  const direct = new Map([
    ['Acquire::http::Proxy', http],
    ['Acquire::https::Proxy', ['DIRECT']],
  ]);
  assert.deepEqual(proxies(direct), { http: http[0], https: http[0] });
  assert.deepEqual(proxies(new Map()), {});
});
