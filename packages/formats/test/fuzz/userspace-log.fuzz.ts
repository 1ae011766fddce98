import {
  checkRecordDigest,
  encodeUserspaceLog,
  parseUserspaceLog,
  replayUserspace,
} from '@osguard/formats/userspace-log';
import type { FuzzTarget } from '@osguard/testkit';
import { defineFuzz } from '@osguard/testkit';

const digests = { sha256: new Uint8Array(32).fill(7) };

export const target: FuzzTarget = defineFuzz({
  name: 'userspace-log',
  seeds: () => [
    encodeUserspaceLog([
      { pcr: 11, digests, eventType: 'phase', text: 'enter-initrd', bootId: '0'.repeat(32) },
      { pcr: 15, digests, eventType: 'machine-id', text: 'machine-id:0' },
    ]),
  ],
  run(bytes) {
    const records = parseUserspaceLog(bytes);
    for (const record of records) checkRecordDigest(record, 'sha256');
    replayUserspace(records, 'sha256');
  },
});
