/** What systemd extended after the kernel took over: PCR 11 phases, 15 machine ID and file systems. */

import { checkRecordDigest } from '@osguard/formats/userspace-log';
import type { UserspaceRecord } from '@osguard/formats/userspace-log';
import type { CheckDefinition } from './check.ts';
import { Refused } from './check.ts';

/** Programs of the host extend no other: an event elsewhere pretends to be firmware or the boot loader. */
const userspacePcrs: ReadonlySet<number> = new Set([11, 12, 13, 15]);

export const userspaceCheck: CheckDefinition = {
  id: 'userspace-log',
  claim: 'the userspace log is whole and says what its digests cover',
  run({ records, selected }) {
    const [first] = records;
    for (const record of records) {
      const problem = problemOf(record, selected, first);
      if (problem === undefined) continue;
      throw new Refused(problem, {
        found: `${record.eventType ?? 'no type'} ${JSON.stringify(record.text ?? '').slice(0, 200)}`,
        where: recordPlace(record),
      });
    }
    return { found: `${records.length} records` };
  },
};

function problemOf(
  record: UserspaceRecord,
  selected: readonly number[],
  first: UserspaceRecord | undefined,
): string | undefined {
  const { pcr, digests, bootId } = record;
  if (digests.sha256 === undefined) return 'a record without digest of the bank SHA-256';
  if (!userspacePcrs.has(pcr)) return `programs of the host do not extend PCR ${pcr}`;
  if (!selected.includes(pcr)) return `PCR ${pcr} is not quoted: nothing proves this record`;
  if (bootId !== first?.bootId) return 'a record of another boot';
  if (checkRecordDigest(record, 'sha256') === 'differs')
    return 'the words of a record are not what its digest covers';
  return undefined;
}

export function recordPlace({ pcr, index, offset }: UserspaceRecord): string {
  return `PCR ${pcr}, record ${index} (byte ${offset} of the userspace log)`;
}
