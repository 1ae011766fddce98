import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';
import { encodeDsse, encodeStatement, parseDsse, parseStatement } from '../../src/dsse/index.ts';

export const target: FuzzTarget = defineFuzz({
  name: 'dsse',
  seeds() {
    const payload = encodeStatement({
      subject: [{ name: 'a', digest: { sha256: 'ab'.repeat(32) } }],
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: { a: [1, { b: null }] },
    });
    return [
      encodeDsse({ payloadType: 't', payload, signatures: [{ keyid: 'k', sig: Uint8Array.of(1, 2, 3) }] }),
    ];
  },
  run(bytes) {
    parseStatement(parseDsse(bytes).payload);
  },
});
