/** EV_NO_ACTION: events that say something and extend nothing (Firmware Profile 1.06, section 10.4.5). */

import { ByteReader, FormatError, parseGuid } from '../bytes/index.ts';
import type { LogEvent } from './parse.ts';
import { hasSpecIdSignature, parseSpecId } from './spec-id.ts';
import type { SpecIdEvent } from './spec-id.ts';
import { eventTypes } from './types.ts';

export type NoActionData =
  | { readonly kind: 'spec-id'; readonly specId: SpecIdEvent }
  /** From where TPM2_Startup came: 0, 3, or 4 after an H-CRTM. */
  | { readonly kind: 'startup-locality'; readonly locality: number }
  /** Names the platform's reference manifest (NIST SP 800-155). */
  | { readonly kind: 'sp800-155'; readonly revision: 1 | 2 | 3; readonly manifest: string }
  | { readonly kind: 'no-action'; readonly signature: string; readonly data: Uint8Array };

const signatureSize = 16;
const revisions = new Map<string, 1 | 2 | 3>([
  ['SP800-155 Event\0', 1],
  ['SP800-155 Event2', 2],
  ['SP800-155 Event3', 3],
]);

/** The locality a StartupLocality event names; undefined for every other event. */
export function startupLocality(event: LogEvent): number | undefined {
  if (event.type !== eventTypes.EV_NO_ACTION || event.data.length !== signatureSize + 1) return undefined;
  return signatureOf(event.data) === 'StartupLocality\0' ? event.data[signatureSize] : undefined;
}

/** @throws FormatError */
export function parseNoAction(event: LogEvent): NoActionData {
  const { data, dataOffset: base } = event;
  if (hasSpecIdSignature(data)) return { kind: 'spec-id', specId: parseSpecId(data, { base }) };
  const signature = signatureOf(data);
  const reader = new ByteReader(data, { base });
  reader.skip(Math.min(signatureSize, data.length), 'signature');
  if (signature === 'StartupLocality\0') {
    const locality = reader.u8('locality');
    reader.end('StartupLocality');
    return { kind: 'startup-locality', locality };
  }
  const revision = revisions.get(signature);
  if (revision !== undefined) {
    const vendor = reader.u32('vendor');
    if (vendor > 0xff_ffff) throw new FormatError('malformed', `vendor ${vendor}`, { offset: base + 16 });
    return { kind: 'sp800-155', revision, manifest: parseGuid(reader.bytes(16, 'reference manifest GUID')) };
  }
  return { kind: 'no-action', signature: signature.replace(/\0+$/, ''), data: reader.rest() };
}

function signatureOf(data: Uint8Array): string {
  return Buffer.from(data.subarray(0, signatureSize)).toString('latin1');
}
