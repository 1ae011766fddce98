import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError } from '../src/bytes/index.ts';
import { parseStatement } from '../src/dsse/index.ts';
import { canonicalJson } from '../src/json/index.ts';
import type { ReleaseProvenance } from '../src/release/index.ts';
import {
  encodeProvenance,
  imageBuilderId,
  imageBuildType,
  parseProvenance,
  provenanceSubjects,
} from '../src/release/index.ts';

const sha256 = 'ab'.repeat(32);
const pieces = [{ offset: 0, size: 512, sha256 }];
const provenance: ReleaseProvenance = {
  subjects: provenanceSubjects([
    { path: 'disk.raw', size: 4096, pieces },
    { path: 'uki.efi', size: 10, sha256 },
  ]),
  definition: { name: 'host', version: '1', packages: ['vim'], disk: { esp: 5 }, mirror: null },
  time: 1_700_000_000,
  dependencies: [
    { name: 'definition', digest: { sha256 } },
    { name: 'bash', uri: 'pkg:deb/debian/bash@5.2.37-2?arch=amd64&distro=debian-trixie', digest: { sha256 } },
    { uri: 'pkg:npm/zod@4.6.7' },
  ],
  osguard: '0.1.0',
};
const text = Buffer.from(encodeProvenance(provenance)).toString();
const parse = (json: string): ReleaseProvenance => parseProvenance(Buffer.from(json, 'utf8'));

/** The statement with the member at `path` exchanged, or taken out, in canonical form. */
function changed(path: string, value?: unknown): string {
  const statement: object = JSON.parse(text) as object;
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let at = statement;
  for (const key of keys) at = Reflect.get(at, key) as object;
  if (value === undefined) Reflect.deleteProperty(at, last);
  else Reflect.set(at, last, value);
  return canonicalJson(statement);
}

test('the statement is that of the specifications, member by member', () => {
  assert.deepEqual(JSON.parse(text), {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [
      {
        name: 'disk.raw',
        digest: {
          sha256OfPieces: createHash('sha256')
            .update(`{"pieces":[{"offset":0,"sha256":"${sha256}","size":512}],"size":4096}`)
            .digest('hex'),
        },
      },
      { name: 'uki.efi', digest: { sha256 } },
    ],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: imageBuildType,
        externalParameters: { definition: provenance.definition },
        internalParameters: { sourceDateEpoch: 1_700_000_000 },
        resolvedDependencies: provenance.dependencies,
      },
      runDetails: { builder: { id: imageBuilderId, version: { osguard: '0.1.0' } } },
    },
  });
  // Our own reader of any statement takes it too.
  assert.equal(parseStatement(Buffer.from(text)).subject.length, 2);
});

test('parse(encode(provenance)) is the provenance, in one form only', () => {
  assert.deepEqual(parse(text), provenance);
  for (const other of [`${text}\n`, ` ${text}`, JSON.stringify(JSON.parse(text), undefined, 1)]) {
    assert.throws(() => parse(other), FormatError, other.slice(0, 60));
  }
});

test('what another tool or another version would mean by it is refused', () => {
  const build = 'predicate.buildDefinition';
  const refused: readonly (readonly [string, unknown?])[] = [
    ['_type', 'https://in-toto.io/Statement/v0.1'],
    ['predicateType', 'https://slsa.dev/provenance/v0.2'],
    ['subject', []],
    ['subject', provenance.subjects.toReversed()],
    ['subject.2', provenance.subjects[1]],
    ['subject.1.digest', {}],
    ['subject.1.digest.sha512', 'ab'.repeat(64)],
    ['subject.1.digest.sha256', 'AB'.repeat(32)],
    ['subject.1.name'],
    [`${build}.buildType`, 'https://example.org/other'],
    [`${build}.externalParameters.source`, 'other'],
    [`${build}.externalParameters.definition`, []],
    [`${build}.internalParameters.sourceDateEpoch`, -1],
    [`${build}.resolvedDependencies.3`, { name: 'nothing' }],
    [`${build}.resolvedDependencies.3`, { uri: 'file:///etc/passwd' }],
    [`${build}.resolvedDependencies.3`, { uri: 'pkg:npm/a@1', extra: 1 }],
    ['predicate.runDetails.builder.id', 'https://example.org/builder'],
    ['predicate.runDetails.metadata', { startedOn: '2026-11-22T00:00:00Z' }],
    ['predicate.runDetails'],
  ];
  for (const [path, value] of refused) {
    assert.throws(() => parse(changed(path, value)), FormatError, path);
  }
  assert.deepEqual(parse(changed('subject.1.name', 'uki.efi')), provenance);
  const fraction: ReleaseProvenance = { ...provenance, definition: { a: 0.5 } };
  assert.throws(() => encodeProvenance(fraction), { code: 'not-encodable' });
});

test('property: any changed byte is refused or means something else', () => {
  const bytes = Buffer.from(text);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const other = Buffer.from(bytes);
      other[at] = (other[at] ?? 0) ^ mask;
      try {
        assert.notDeepEqual(parseProvenance(other), provenance);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }),
  );
});
