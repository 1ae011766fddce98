import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError } from '../src/bytes/index.ts';
import { encodeNodeConfiguration, parseNodeConfiguration } from '../src/node-configuration/index.ts';
import type { NodeConfiguration } from '../src/node-configuration/index.ts';

const release = { name: 'host', version: '1.0' };
const attest = { verifier: 'https://10.0.2.2:7443', ca: '-----BEGIN CERTIFICATE-----\n', interval: 300 };
const whole: NodeConfiguration = { schema: 'osguard/node/v1', release, attest };

const text = fc.string({ minLength: 1, maxLength: 50 });
const configurations: fc.Arbitrary<NodeConfiguration> = fc.record(
  {
    schema: fc.constant('osguard/node/v1' as const),
    release: fc.record({ name: text, version: text }, { noNullPrototype: true }),
    attest: fc.record(
      {
        verifier: fc.constantFrom('https://v', 'https://[::1]:7443', 'https://a.example:1'),
        ca: text,
        interval: fc.integer({ min: 1, max: 86_400 }),
      },
      { noNullPrototype: true },
    ),
  },
  { requiredKeys: ['schema', 'release'], noNullPrototype: true },
);

test('what was encoded is read back, and equal configurations are equal bytes', () => {
  fc.assert(
    fc.property(configurations, (configuration) => {
      const encoded = encodeNodeConfiguration(configuration);
      assert.deepEqual(parseNodeConfiguration(encoded), configuration);
      assert.equal(encodeNodeConfiguration(parseNodeConfiguration(encoded)), encoded);
    }),
  );
});

test('a node does not do half of what it was told', () => {
  const wrong: readonly unknown[] = [
    null,
    [],
    {},
    { ...whole, schema: 'osguard/node/v2' },
    { ...whole, other: 1 },
    { ...whole, attest: { ...attest, insecure: true } },
    { ...whole, attest: { ...attest, verifier: 'http://10.0.2.2' } },
    { ...whole, attest: { ...attest, verifier: 'https://u@v' } },
    { ...whole, attest: { ...attest, verifier: 'https://v/path' } },
    { ...whole, attest: { ...attest, interval: 0 } },
    { ...whole, attest: { ...attest, interval: 1.5 } },
    { ...whole, attest: { ...attest, ca: '' } },
    { ...whole, release: { name: 'host' } },
    { ...whole, layers: { mode: 'off', insecureRegistries: [] } },
  ];
  for (const value of wrong) {
    assert.throws(() => parseNodeConfiguration(JSON.stringify(value)), FormatError, JSON.stringify(value));
  }
  assert.throws(() => parseNodeConfiguration('{'), FormatError);
  assert.throws(() => parseNodeConfiguration(' '.repeat(300_000)), FormatError);
});
