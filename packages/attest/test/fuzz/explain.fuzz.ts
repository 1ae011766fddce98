import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareWithRelease } from '@osguard/attest';
import { parseEventLog } from '@osguard/formats/eventlog';
import { parseReferenceValues } from '@osguard/formats/reference-values';
import { parseUserspaceLog } from '@osguard/formats/userspace-log';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const fixture = (name: string): Buffer =>
  readFileSync(join(import.meta.dirname, '../fixtures/booted-host', name));
const reference = parseReferenceValues(fixture('reference-values.json'));
const commandLine = reference.pcrs.find(({ pcr }) => pcr === 9)?.events[0]?.text;
const records = parseUserspaceLog(fixture('userspace.log'));

/** Whatever a machine sends, a comparison ends with differences or with FormatError. */
export const target: FuzzTarget = defineFuzz({
  name: 'explain',
  seeds: () => [fixture('firmware.log')],
  run(bytes) {
    compareWithRelease({ log: parseEventLog(bytes), records, reference, commandLine, known: [reference] });
  },
});
