/** Parsers that break as real ones do, chosen by the first byte of the seed; not among the registered ones. */

import { FormatError } from '@osguard/formats/bytes';
import type { FuzzTarget } from '../../src/index.ts';
import { defineFuzz } from '../../src/index.ts';

const ways: Readonly<Record<string, () => void>> = {
  passes: () => undefined,
  throws: () => {
    throw new RangeError('offset out of range');
  },
  hangs: () => {
    for (;;);
  },
  'fills the heap': () => {
    const list: number[][] = [];
    for (;;) list.push(Array.from({ length: 1000 }, (_, i) => i));
  },
  'fills memory': () => {
    const list: Uint8Array[] = [];
    for (;;) list.push(new Uint8Array(16 * 1024 * 1024).fill(1));
  },
  exits: () => process.exit(7),
};

export const target: FuzzTarget = defineFuzz({
  name: 'broken',
  seeds: () => [Buffer.from('a good input')],
  run(bytes) {
    // The seed itself is fine; the first broken input is not.
    if (Buffer.from(bytes).toString() === 'a good input') return;
    ways[process.env['FUZZ_SAMPLE'] ?? 'passes']?.();
    throw new FormatError('malformed', 'as it should be');
  },
});
