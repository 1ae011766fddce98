/**
 * Both logs, extended one after the other (TPM 2.0 Library Part 1, section 17.2): what the PCRs of the bank SHA-256 hold
 * if the logs are the truth. Where a StartupLocality event may stand is another check's question.
 */

import { FormatError } from '@osguard/formats/bytes';
import { eventTypes, ExtendedPcrs, startupLocality } from '@osguard/formats/eventlog';
import type { EventLog } from '@osguard/formats/eventlog';
import type { UserspaceRecord } from '@osguard/formats/userspace-log';

const size = 32;

/** By index, lower-case hex. @throws FormatError when an event has no digest of the bank. */
export function replayLogs(log: EventLog, records: readonly UserspaceRecord[]): readonly string[] {
  const pcrs = new ExtendedPcrs('sha256', { locality: startLocality(log) });
  for (const { type, pcr, digests, offset } of log.events) {
    if (type !== eventTypes.EV_NO_ACTION) pcrs.extend(pcr, checked(digests.sha256, offset));
  }
  for (const { pcr, digests, offset } of records) pcrs.extend(pcr, checked(digests.sha256, offset));
  return pcrs.all();
}

function checked(digest: Uint8Array | undefined, offset: number): Uint8Array {
  if (digest?.length === size) return digest;
  throw new FormatError('malformed', 'an event without SHA-256 digest', { offset });
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
