import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Ajv2020 } from 'ajv/dist/2020.js';
import { DiagnosticsError } from '@osguard/events';
import { scratch } from '@osguard/testkit';

import { definitionJsonSchema, loadDefinition, parseDefinition } from '../src/definition/index.ts';
import type { Definition } from '../src/definition/index.ts';

const golden = join(import.meta.dirname, 'golden/definition');
const smallest = 'schema: osguard/v1\nname: host\nversion: "1"\n';

function diagnosticsOf(text: string, file?: string): DiagnosticsError {
  try {
    parseDefinition(text, file === undefined ? {} : { file });
  } catch (error) {
    if (error instanceof DiagnosticsError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: 'the definition was accepted' });
}

function codes(text: string): string[] {
  return diagnosticsOf(text).diagnostics.map(({ code }) => code);
}

function definition(text: string): Definition {
  return parseDefinition(text).definition;
}

test('the smallest definition gets every default', () => {
  const host = definition(smallest);
  assert.equal(host.distribution.suite, 'trixie');
  assert.equal(host.kernel.line, '7.x');
  assert.equal(host.disk.usr, 512 * 1024 ** 2);
  assert.deepEqual(host.formats, ['raw']);
  assert.equal(host.enforcement.ipe, 'enforce');
  assert.deepEqual(host.units, { enable: [], disable: [], mask: [] });
});

for (const name of readdirSync(golden).filter((leaf) => leaf.endsWith('.yaml'))) {
  test(`diagnostics of ${name} are the recorded ones`, () => {
    const { diagnostics } = diagnosticsOf(readFileSync(join(golden, name), 'utf8'), name);
    const said = diagnostics.map(({ severity, code, message, hint, range }) => {
      const at = `${name}:${range?.start.line}:${range?.start.column}-${range?.end.line}:${range?.end.column}`;
      return `${at} ${severity} ${code}: ${message}${hint === undefined ? '' : ` (${hint})`}\n`;
    });
    const file = join(golden, name.replace('.yaml', '.txt'));
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, said.join(''));
    assert.equal(said.join(''), readFileSync(file, 'utf8'));
  });
}

test('the definitions that are shipped and documented are accepted', async () => {
  const top = join(import.meta.dirname, '../../..');
  for (const leaf of readdirSync(join(top, 'definitions')).filter((name) => name.endsWith('.yaml'))) {
    assert.deepEqual((await loadDefinition(join(top, 'definitions', leaf))).warnings, []);
  }
  const page = readFileSync(join(top, 'docs/definition.md'), 'utf8');
  const example = /```yaml\n([^]*?)```/.exec(page)?.[1];
  assert.ok(example !== undefined);
  assert.equal(definition(example).name, 'web-host');
});

test('what would multiply, nest or confuse is refused', () => {
  const bomb = `a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n`;
  assert.ok(codes(smallest + bomb).every((code) => code === 'yaml'));
  assert.deepEqual(codes(`x: ${'['.repeat(100_000)}`), ['too-deep']);
  assert.deepEqual(codes(`x: ${'{a: '.repeat(100_000)}`), ['too-deep']);
  assert.deepEqual(codes(`${'- '.repeat(100_000)}x`), ['too-deep']);
  assert.deepEqual(codes('x'.repeat(600_000)), ['too-large']);
  assert.deepEqual(codes(''), ['not-a-definition']);
  assert.deepEqual(codes('[1, 2]'), ['not-a-definition']);
  assert.ok(codes('name: a\n---\nname: b\n').includes('yaml'));
  assert.ok(codes(`${smallest}<<: {packages: [vim]}\n`).includes('unknown-key'));
  assert.ok(codes(`${smallest}? [a]\n: b\n`).includes('yaml'));
  assert.ok(codes(`${smallest}__proto__: {polluted: 1}\n`).includes('unknown-key'));
  assert.ok(codes(`${smallest}packages: !!js/function x\n`).includes('yaml'));
});

test('kernel arguments and settings that switch protection off are refused', () => {
  const refused = [
    'ipe.enforce=0',
    'selinux=0',
    'lsm=',
    'init=/bin/sh',
    'rdinit=/x',
    'systemd.unit=rescue.target',
    'rd.break',
    'systemd.debug-shell=1',
    'dm-verity.keyring_unsealed=1',
    'module.sig_enforce=0',
    'proc_mem.force_override=always',
    'LD_PRELOAD=/x',
    '--',
    '1',
    'single',
    'enforcing=0',
    'root=/dev/sda',
    'usrhash=00',
    'lockdown=none',
    'mitigations=off',
  ];
  for (const argument of refused) {
    assert.deepEqual(codes(`${smallest}kernelArguments: ["${argument}"]\n`), ['refused'], argument);
  }
  assert.deepEqual(codes(`${smallest}sysctls: {kernel.yama.ptrace_scope: 0, kernel/core_pattern: "|/x"}\n`), [
    'refused',
    'refused',
  ]);
  const allowed = ['console=ttyS0,115200', 'quiet', 'loglevel=4', 'nvme_core.io_timeout=255', 'hugepages=64'];
  assert.deepEqual(
    definition(`${smallest}kernelArguments: [${allowed.map((a) => JSON.stringify(a)).join(', ')}]\n`)
      .kernelArguments,
    allowed,
  );
});

test('where the host proves itself, and how often', () => {
  const attest = (text: string): Definition['attest'] => definition(`${smallest}attest: {${text}}\n`).attest;
  assert.equal(definition(smallest).attest, undefined);
  assert.deepEqual(attest('verifier: "https://verifier.example:7443/"'), {
    verifier: 'https://verifier.example:7443',
    interval: 300,
  });
  assert.deepEqual(attest('verifier: "https://[2001:db8::1]:7443", ca: ca.pem, interval: 90s'), {
    verifier: 'https://[2001:db8::1]:7443',
    ca: 'ca.pem',
    interval: 90,
  });
  const refused = [
    'verifier: "http://verifier.example"',
    'verifier: "https://user:word@verifier.example"',
    'verifier: "https://verifier.example/path"',
    'verifier: "https://verifier.example?x"',
    'verifier: "https://verifier.example:99999"',
    'verifier: "https://v", ca: ../ca.pem',
    'verifier: "https://v", ca: /etc/ca.pem',
    'verifier: "https://v", interval: 9s',
    'verifier: "https://v", interval: 25h',
    'verifier: "https://v", interval: "0m"',
    'verifier: "https://v", interval: 5',
    'interval: 5m',
  ];
  for (const text of refused) assert.equal(codes(`${smallest}attest: {${text}}\n`).length, 1, text);
  const { warnings } = parseDefinition(`${smallest}layers: {mode: audit}\n`);
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ['not-enforcing'],
  );
});

test('the image of pods is named with its registry', () => {
  const layers = (image: string): string => `${smallest}layers: {mode: enforce, sandboxImage: ${image}}\n`;
  const digest = 'a'.repeat(64);
  for (const image of ['r.example/pause:3.10', `r:5000/a/pause@sha256:${digest}`, `r/p:1@sha256:${digest}`])
    assert.equal(parseDefinition(layers(`"${image}"`)).definition.layers.sandboxImage, image);
  for (const image of [
    'pause',
    'pause:3.10',
    'r.example/pause',
    `'r/p:1"'`,
    '"r/p:1\\nx = 1"',
    'https://r/p:1',
  ])
    assert.equal(codes(layers(image)).length, 1, image);
  const without = `${smallest}layers: {sandboxImage: "r.example/pause:1"}\n`;
  assert.deepEqual(codes(without), ['contradiction']);
});

test('the published schema is a valid JSON Schema and agrees with the loader', () => {
  const validate = new Ajv2020({ strict: false }).compile(definitionJsonSchema());
  assert.equal(validate({ schema: 'osguard/v1', name: 'host', version: '1' }), true);
  assert.equal(validate({ schema: 'osguard/v1', name: 'host', version: '1', pakages: [] }), false);
  assert.equal(validate({ schema: 'osguard/v1', name: 'host', version: '1', disk: { usr: '1 GiB' } }), true);
  const withAttest = { schema: 'osguard/v1', name: 'host', version: '1', attest: { verifier: 'https://v' } };
  assert.equal(validate(withAttest), true);
});

test('a file that cannot be read or is not text is a diagnostic too', async () => {
  using folder = scratch('definition');
  writeFileSync(folder.file('latin.yaml'), Buffer.from([0x61, 0xff, 0xfe]));
  for (const leaf of ['missing.yaml', 'latin.yaml']) {
    await assert.rejects(loadDefinition(folder.file(leaf)), DiagnosticsError);
  }
  writeFileSync(folder.file('good.yaml'), smallest);
  assert.equal((await loadDefinition(folder.file('good.yaml'))).folder, folder.path);
});
