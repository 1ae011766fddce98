/**
 * Whether an event's digest is what its data says. Of most types the digest covers something that is not in the log
 * (an image, a table), so their data is a comment and never evidence; of the others the data is proved by the digest.
 */

import type { PcrBank } from './algorithms.ts';
import { parseEventData } from './event-data.ts';
import type { LogEvent } from './parse.ts';
import { isDigestOf } from './replay.ts';
import { eventTypes } from './types.ts';
import { encodeVariableData } from './variable-data.ts';

/** `unrelated`: the digest of this type covers something else than the data in the log. */
export type DigestCheck = 'matches' | 'differs' | 'unrelated';

/** Types whose digest covers the whole event data (Firmware Profile 1.06, table 27). */
const overData: ReadonlySet<number> = new Set([
  eventTypes.EV_SEPARATOR,
  eventTypes.EV_ACTION,
  eventTypes.EV_EFI_ACTION,
  eventTypes.EV_OMIT_BOOT_DEVICE_EVENTS,
  eventTypes.EV_S_CRTM_VERSION,
  eventTypes.EV_EFI_VARIABLE_DRIVER_CONFIG,
  eventTypes.EV_EFI_VARIABLE_BOOT2,
  eventTypes.EV_EFI_VARIABLE_AUTHORITY,
  eventTypes.EV_EFI_GPT_EVENT,
]);

/** Bytes before the name: GUID, length of the name in characters, size of the value. */
const variableHead = 32;

/** `unrelated` when the event has no digest of this bank too. @throws FormatError for data that does not parse */
export function checkEventDigest(event: LogEvent, bank: PcrBank): DigestCheck {
  const digest = event.digests[bank];
  if (digest === undefined) return 'unrelated';
  if (event.type === eventTypes.EV_NO_ACTION) {
    return digest.every((byte) => byte === 0) ? 'matches' : 'differs';
  }
  if (event.type !== eventTypes.EV_EFI_VARIABLE_BOOT && !overData.has(event.type)) return 'unrelated';
  const expected = { bank, digest };
  if (event.type === eventTypes.EV_EFI_VARIABLE_BOOT) {
    // The value alone in early firmware and in edk2, the whole structure elsewhere.
    const value = valueWithin(event.data);
    if (value !== undefined && isDigestOf(value, expected)) return 'matches';
    if (isDigestOf(event.data, expected)) return 'matches';
    const data = parseEventData(event);
    return data.kind === 'variable' && isDigestOf(data.value, expected) ? 'matches' : 'differs';
  }
  if (isDigestOf(event.data, expected)) return 'matches';
  const shorter = shorterForm(event);
  return shorter !== undefined && isDigestOf(shorter, expected) ? 'matches' : 'differs';
}

/** The value in UEFI_VARIABLE_DATA, found by its lengths alone: firmware with a hundred boot options is common. */
function valueWithin(data: Uint8Array): Uint8Array | undefined {
  if (data.length < variableHead) return undefined;
  const start = variableHead + littleEndian(data, 16) * 2;
  const end = start + littleEndian(data, 24);
  const small = littleEndian(data, 20) === 0 && littleEndian(data, 28) === 0;
  return small && end <= data.length ? data.subarray(start, end) : undefined;
}

function littleEndian(data: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [data[at], data[at + 1], data[at + 2], data[at + 3]];
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

/** The data without what some firmware logs behind it: the NUL of a string, padding of a variable. */
function shorterForm(event: LogEvent): Uint8Array | undefined {
  const { data } = event;
  if (event.type === eventTypes.EV_EFI_ACTION || event.type === eventTypes.EV_ACTION) {
    return data.at(-1) === 0 ? data.subarray(0, -1) : undefined;
  }
  if (event.type !== eventTypes.EV_EFI_VARIABLE_AUTHORITY) return undefined;
  const parsed = parseEventData(event);
  return parsed.kind === 'variable' ? encodeVariableData(parsed) : undefined;
}
