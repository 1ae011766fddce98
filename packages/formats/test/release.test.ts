import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError } from '../src/bytes/index.ts';
import { canonicalJson, parseCanonicalJson } from '../src/json/index.ts';
import type { ReleaseManifest } from '../src/release/index.ts';
import { encodeRelease, packageListDigest, parseRelease } from '../src/release/index.ts';

const sha256 = 'ab'.repeat(32);
const manifest: ReleaseManifest = {
  name: 'container-host',
  version: '2026.11.22',
  kernel: '7.3.1-1~bpo13+1',
  architecture: 'amd64',
  created: '2026-11-22T00:00:00Z',
  files: [
    {
      path: 'disk.raw',
      size: 2 ** 33,
      pieces: [
        { offset: 0, size: 512, sha256 },
        { offset: 512, size: 2 ** 33 - 512, sha256 },
      ],
    },
    { path: 'ipe/host.p7b', size: 10, sha256 },
  ],
  rootHash: sha256,
  packages: { count: 2, sha256 },
  partitions: [
    {
      label: 'esp',
      type: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
      uuid: '00000000-0000-4000-8000-000000000001',
      offset: 1_048_576,
      size: 268_435_456,
    },
  ],
};
const text = Buffer.from(encodeRelease(manifest)).toString();
const parse = (json: string): ReleaseManifest => parseRelease(Buffer.from(json, 'utf8'));

const changed = (change: object): string => canonicalJson({ ...(JSON.parse(text) as object), ...change });

const file = (path: string): object => ({ path, size: 1, sha256 });

test('parse(encode(manifest)) is the manifest, in one form only', () => {
  assert.deepEqual(parse(text), manifest);
  assert(text.startsWith('{"architecture":"amd64","created":"2026-11-22T00:00:00Z","files":[{"path":'));
  for (const other of [
    `${text}\n`,
    ` ${text}`,
    text.replace('{"architecture":"amd64",', '{"architecture":"arm64","architecture":"amd64",'),
    text.replace('10', '1e1'),
    text.replace('amd64', '\\u0061md64'),
    JSON.stringify(JSON.parse(text), undefined, 1),
  ]) {
    assert.throws(() => parse(other), FormatError, other.slice(0, 60));
  }
});

test('what is no manifest', () => {
  for (const change of [
    { schema: 'osguard/release/v2' },
    { extra: 1 },
    { name: '../x' },
    { created: '2026-11-22' },
    { created: '2026-13-22T00:00:00Z' },
    { rootHash: 'AB'.repeat(32) },
    { files: [file('b'), file('a')] },
    { files: [file('a'), file('a')] },
    { files: [file('/etc/passwd')] },
    { files: [file('a/../../b')] },
    { files: [file('a\\b')] },
    { files: [file('a\u0001')] },
    { files: [{ ...file('a'), sha256: 'x' }] },
    { files: [{ ...file('a'), pieces: [] }] },
    ...[
      [{ offset: 0, size: 0, sha256 }],
      [{ offset: -1, size: 1, sha256 }],
      [{ offset: 0, size: 101, sha256 }],
      [{ offset: 2 ** 53 - 1, size: 2 ** 53 - 1, sha256 }],
      [
        { offset: 0, size: 2, sha256 },
        { offset: 1, size: 2, sha256 },
      ],
      [
        { offset: 5, size: 1, sha256 },
        { offset: 0, size: 1, sha256 },
      ],
    ].map((pieces) => ({ files: [{ path: 'a', size: 100, pieces }] })),
    { packages: { count: -1, sha256 } },
    { partitions: [{ label: 'x', type: 'y', uuid: 'z', offset: 0, size: 0 }] },
  ]) {
    assert.throws(() => parse(changed(change)), FormatError, JSON.stringify(change));
  }
  assert.throws(() => encodeRelease({ ...manifest, version: 'a b' }), FormatError);
  assert.throws(() => parse('[]'), FormatError);
  assert.throws(() => parseRelease(Uint8Array.of(0xff)), FormatError);
});

test('the digest of a package list does not depend on its order', () => {
  const packages = [
    { name: 'a', version: '1', architecture: 'amd64' },
    { name: 'B', version: '1', architecture: 'all' },
    { name: 'a', version: '1', architecture: 'i386' },
  ];
  const digest = packageListDigest(packages);
  assert.equal(packageListDigest(packages.toReversed()), digest);
  // printf 'B all 1\na amd64 1\na i386 1\n' | sha256sum
  assert.equal(digest, '3755009176e01307b19825791ae32ab16f10c7f600555f16d73a0b814e25162e');
});

test('property: canonical JSON reads back, whatever order the keys came in', () => {
  const json = fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' });
  fc.assert(
    fc.property(json, (value) => {
      let encoded: string;
      try {
        encoded = canonicalJson(value);
      } catch (error) {
        assert(error instanceof FormatError);
        return;
      }
      const again = parseCanonicalJson(Buffer.from(encoded, 'utf8'));
      assert.equal(canonicalJson(again), encoded);
      const reversed: unknown = JSON.parse(encoded, (_key, member: unknown) =>
        typeof member === 'object' && member !== null && !Array.isArray(member)
          ? Object.fromEntries(Object.entries(member).reverse())
          : member,
      );
      assert.equal(canonicalJson(reversed), encoded);
    }),
  );
});

test('what canonical JSON cannot say', () => {
  let deep: unknown = 1;
  for (let depth = 0; depth < 70; depth += 1) deep = [deep];
  for (const value of [0.5, -0, Number.NaN, 2 ** 53, '\ud800', undefined, 1n, deep]) {
    assert.throws(() => canonicalJson(value), FormatError);
  }
  assert.throws(() => parseCanonicalJson(Buffer.from('['.repeat(100_000))), FormatError);
  assert.throws(() => parseCanonicalJson(Buffer.from(`${'['.repeat(100)}${']'.repeat(100)}`)), FormatError);
});
