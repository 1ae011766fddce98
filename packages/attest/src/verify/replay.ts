/**
 * Both logs, extended one after the other (TPM 2.0 Library Part 1, section 17.2): what the PCRs of the bank SHA-256 hold
 * if the logs are the truth. One scratch buffer and text instead of byte arrays, because this is done a hundred times a
 * verdict: a third of the time, measured.
 */

import { hash } from 'node:crypto';
import { FormatError } from '@osguard/formats/bytes';
import { eventTypes, startupLocality } from '@osguard/formats/eventlog';
import type { EventLog } from '@osguard/formats/eventlog';
import type { UserspaceRecord } from '@osguard/formats/userspace-log';

const size = 32;
const pcrCount = 24;
/** PCRs 17 to 22 belong to the dynamic launch and start with all bits set (PC Client Platform TPM Profile, section 4.6.2). */
const firstDynamic = 17;
const lastDynamic = 22;

/** By index, lower-case hex. @throws FormatError when an event has no digest of the bank. */
export function replayLogs(log: EventLog, records: readonly UserspaceRecord[]): readonly string[] {
  const values = Buffer.alloc(pcrCount * size);
  values.fill(0xff, firstDynamic * size, (lastDynamic + 1) * size);
  values[size - 1] = startLocality(log);
  const both = Buffer.alloc(2 * size);
  const extend = (pcr: number, digest: Uint8Array | undefined, offset: number): void => {
    if (digest?.length !== size)
      throw new FormatError('malformed', 'an event without SHA-256 digest', { offset });
    values.copy(both, 0, pcr * size, (pcr + 1) * size);
    both.set(digest, size);
    values.write(hash('sha256', both, 'binary'), pcr * size, size, 'latin1');
  };
  for (const event of log.events) {
    if (event.type !== eventTypes.EV_NO_ACTION) extend(event.pcr, event.digests.sha256, event.offset);
  }
  for (const { pcr, digests, offset } of records) extend(pcr, digests.sha256, offset);
  return Array.from({ length: pcrCount }, (_, pcr) => values.toString('hex', pcr * size, (pcr + 1) * size));
}

/** What TPM2_Startup left in PCR 0 (Firmware Profile 1.06, section 10.4.5.3); 4 when an H-CRTM was measured first. */
function startLocality(log: EventLog): number {
  let first: number | undefined;
  for (const event of log.events) {
    const named = startupLocality(event);
    if (named !== undefined) return named;
    if (event.pcr === 0 && event.type !== eventTypes.EV_NO_ACTION) first ??= event.type;
  }
  return first === eventTypes.EV_EFI_HCRTM_EVENT ? 4 : 0;
}
