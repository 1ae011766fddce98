/** Is the firmware's log whole, and is it what was extended? TCG PC Client Platform Firmware Profile 1.06, section 10. */

import {
  checkEventDigest,
  describeEvent,
  eventTypes,
  parseEventData,
  startupLocality,
} from '@osguard/formats/eventlog';
import type { LogEvent } from '@osguard/formats/eventlog';
import { FormatError } from '@osguard/formats/bytes';
import type { CheckDefinition } from './check.ts';
import { Refused, RefusedFor } from './check.ts';
import { replayLogs } from './replay.ts';

const highestFirmwarePcr = 7;

export const logShapeChecks: readonly CheckDefinition[] = [
  {
    id: 'log-format',
    claim: 'the firmware log is whole and has digests of the bank SHA-256',
    run({ log }) {
      if (log.format === 'crypto-agile' && log.banks.includes('sha256'))
        return { found: `${log.events.length} events` };
      throw new Refused('the firmware log has no digests of the bank that is quoted', {
        expected: 'sha256',
        found: log.banks.join(', '),
        where: 'firmwareLog',
      });
    },
  },
  {
    id: 'log-locality',
    claim: 'the log says once at most where the TPM was started from, and before PCR 0 was extended',
    run({ log }) {
      let named: LogEvent | undefined;
      let extended = false;
      for (const event of log.events) {
        if (event.type !== eventTypes.EV_NO_ACTION) {
          extended ||= event.pcr === 0;
          continue;
        }
        const locality = startupLocality(event);
        if (locality === undefined) continue;
        const why =
          named !== undefined
            ? 'a second StartupLocality event'
            : extended
              ? 'a StartupLocality event after PCR 0 was extended'
              : event.pcr !== 0
                ? `a StartupLocality event in PCR ${event.pcr}`
                : locality !== 0 && locality !== 3 && locality !== 4
                  ? `a TPM is not started from locality ${locality}`
                  : undefined;
        if (why !== undefined)
          throw new Refused(why, { expected: '0, 3 or 4, once', where: eventPlace(event) });
        named = event;
      }
    },
  },
  {
    id: 'log-separators',
    claim: 'one separator ends what firmware measures in each of PCR 0 to 7',
    run({ log }) {
      const separators = new Map<number, LogEvent>();
      for (const event of log.events) {
        if (event.type !== eventTypes.EV_SEPARATOR || event.pcr > highestFirmwarePcr) continue;
        const data = parseEventData(event);
        const problem = separators.has(event.pcr)
          ? 'a second separator: something pretends that firmware was still at work'
          : data.kind !== 'separator' || data.value === 1
            ? 'firmware says that it failed'
            : undefined;
        if (problem !== undefined) throw new Refused(problem, { where: eventPlace(event) });
        separators.set(event.pcr, event);
      }
      for (let pcr = 0; pcr <= highestFirmwarePcr; pcr += 1) {
        if (!separators.has(pcr)) {
          throw new Refused('no separator: firmware never ended its measurements', { where: `PCR ${pcr}` });
        }
      }
    },
  },
];

export const logTruthChecks: readonly CheckDefinition[] = [
  {
    id: 'log-unmeasured',
    claim: 'every event of the log went into a quoted PCR',
    run({ log, selected }) {
      const quoted = new Set(selected);
      for (const event of log.events) {
        const problem = unmeasured(event, quoted);
        if (problem !== undefined)
          throw new Refused(problem, { found: describeEvent(event), where: eventPlace(event) });
      }
    },
  },
  {
    id: 'log-replay',
    claim: 'the logs give exactly the quoted PCR values',
    run({ evidence, selected, log, records }) {
      const values = replayLogs(log, records);
      const [first, ...rest] = selected
        .filter((pcr) => values[pcr] !== evidence.pcrs.get(pcr))
        .map((pcr) => ({
          message: `the logs do not give the quoted value of PCR ${pcr}: events are missing, added, changed or reordered`,
          expected: evidence.pcrs.get(pcr) ?? 'no value',
          found: values[pcr] ?? 'no value',
          where: `PCR ${pcr}`,
        }));
      if (first !== undefined) throw new RefusedFor([first, ...rest]);
    },
  },
  {
    id: 'log-event-data',
    claim: 'the data of every event is what its digest covers',
    run({ log }) {
      for (const event of log.events) {
        if (event.type === eventTypes.EV_NO_ACTION) continue;
        let differs: boolean;
        try {
          differs = checkEventDigest(event, 'sha256') === 'differs';
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
          throw new Refused(`the data of an event cannot be read: ${error.message}`, {
            where: eventPlace(event),
          });
        }
        if (differs) {
          throw new Refused('the data of an event is not what its digest covers', {
            found: describeEvent(event),
            where: eventPlace(event),
          });
        }
      }
    },
  },
];

const informative = /^(?:StartupLocality\0|SP800-155 Event[\0 23])/;

/** Why an event proves nothing; undefined when it was extended, or is one of the notes firmware may leave. */
function unmeasured(event: LogEvent, quoted: ReadonlySet<number>): string | undefined {
  if (event.type !== eventTypes.EV_NO_ACTION) {
    return quoted.has(event.pcr) ? undefined : `PCR ${event.pcr} is not quoted: nothing proves this event`;
  }
  // The first event is in the old form, whose one digest is SHA-1.
  const digest = event.digests.sha256 ?? event.digests.sha1;
  if (digest === undefined || digest.some((byte) => byte !== 0))
    return 'an event that was not extended has a digest';
  if (event.index === 0) return undefined;
  const signature = Buffer.from(event.data.subarray(0, 16)).toString('latin1');
  return informative.test(signature)
    ? undefined
    : 'an event that was not extended and that says nothing firmware may note';
}

export function eventPlace(event: LogEvent): string {
  return `PCR ${event.pcr}, event ${event.index} (${event.typeName}, byte ${event.offset} of the firmware log)`;
}
