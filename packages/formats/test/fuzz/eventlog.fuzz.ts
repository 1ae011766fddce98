import {
  checkEventDigest,
  describeEvent,
  encodeEventLog,
  encodeVariableData,
  eventTypes,
  measuredEvent,
  parseEventData,
  parseEventLog,
  replay,
  specIdEvent,
} from '@osguard/formats/eventlog';
import type { PcrBank } from '@osguard/formats/eventlog';
import { FormatError } from '@osguard/formats/bytes';
import { defineFuzz, vectors } from '@osguard/testkit';
import type { FuzzTarget } from '@osguard/testkit';

const banks: readonly PcrBank[] = ['sha1', 'sha256'];
const globalVariable = '8be4df61-93ca-11d2-aa0d-00e098032b8c';

function made(): Uint8Array {
  const data: readonly (readonly [number, number, Uint8Array])[] = [
    [0, eventTypes.EV_NO_ACTION, Buffer.from('StartupLocality\0\u0003')],
    [0, eventTypes.EV_S_CRTM_VERSION, Buffer.from('1.0\0', 'utf16le')],
    [
      7,
      eventTypes.EV_EFI_VARIABLE_DRIVER_CONFIG,
      encodeVariableData({ vendor: globalVariable, name: 'SecureBoot', value: Uint8Array.of(1) }),
    ],
    [4, eventTypes.EV_EFI_ACTION, Buffer.from('Calling EFI Application from Boot Option')],
    [4, eventTypes.EV_SEPARATOR, new Uint8Array(4)],
    [9, eventTypes.EV_EVENT_TAG, Buffer.from('ec223b8f0d0000004c696e757820696e6974726400', 'hex')],
  ];
  const events = data.map(([pcr, type, bytes]) => measuredEvent({ pcr, type, data: bytes }, banks));
  return encodeEventLog({ format: 'crypto-agile', banks, events: [specIdEvent(banks), ...events] });
}

export const target: FuzzTarget = defineFuzz({
  name: 'eventlog',
  seeds: () => {
    const found = vectors();
    const files = ['ubuntu-2404-amd-sevsnp.bin', 'glinux-alex.bin', 'debian-10.bin'];
    return [made(), ...(found === undefined ? [] : files.map((name) => found.file(`eventlogs/${name}`)))];
  },
  run(bytes) {
    const log = parseEventLog(bytes);
    for (const event of log.events) {
      describeEvent(event);
      try {
        parseEventData(event);
        checkEventDigest(event, 'sha256');
      } catch (error) {
        // One event's data is refused on its own; the log stays readable.
        if (!(error instanceof FormatError)) throw error;
      }
    }
    for (const bank of log.banks) if (bank !== 'sm3_256') replay(log, bank);
  },
});
