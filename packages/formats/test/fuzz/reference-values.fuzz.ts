import { canonicalJson } from '@osguard/formats/json';
import { encodeReferenceValues, parseReferenceValues, phaseValues } from '@osguard/formats/reference-values';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const event = { log: 'firmware', type: 'EV_IPL', digest: 'ab'.repeat(32), what: 'w', source: 's' } as const;

/** Also as canonical JSON, since nearly no broken input is. */
function canonical(bytes: Uint8Array): Uint8Array {
  try {
    return Buffer.from(canonicalJson(JSON.parse(Buffer.from(bytes).toString())));
  } catch {
    return bytes;
  }
}

export const target: FuzzTarget = defineFuzz({
  name: 'reference-values',
  seeds: () => [
    encodeReferenceValues({
      name: 'host',
      version: '1',
      bank: 'sha256',
      pcrs: [{ pcr: 11, name: 'kernel-boot', events: [event], values: phaseValues([event], 'sha256') }],
      firmware: [{ id: 'a', kind: 'event-types', pcrs: [1], types: ['EV_SEPARATOR'], why: 'w' }],
    }),
  ],
  run(bytes) {
    parseReferenceValues(canonical(bytes));
  },
});
