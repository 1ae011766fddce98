/** Lies in the logs: cut, lengthened, reordered, reworded. */

import { eventTypes } from '@osguard/formats/eventlog';
import { phaseRecord } from '../model/boot.ts';
import { described, encodeLog, note, separator, sha256 } from '../model/log.ts';
import { inEvidence, inEvents, inSentLog, insertBefore, isSeparator, without } from './helpers.ts';
import type { Plan } from '../model/baseline.ts';
import type { ModelEvent } from '../model/log.ts';
import type { Lie } from './helpers.ts';

export const logsLies: readonly Lie[] = [
  {
    name: 'log-cut-inside-an-event',
    lie: 'a log that ends inside an event',
    check: 'log-format',
    unreadable: true,
    change: inEvidence(({ firmwareLog }) => ({ firmwareLog: firmwareLog.slice(0, -7) })),
  },
  {
    name: 'log-with-huge-event',
    lie: 'an event that says it has 4 GiB of data',
    check: 'log-format',
    unreadable: true,
    change: inEvidence(({ firmwareLog }) => ({
      firmwareLog: Buffer.concat([
        firmwareLog,
        Buffer.from(`0000000004000000010000000b00${'00'.repeat(32)}ffffffff`, 'hex'),
      ]),
    })),
  },
  {
    name: 'log-empty',
    lie: 'no log',
    check: 'log-format',
    unreadable: true,
    change: inEvidence(() => ({ firmwareLog: new Uint8Array(1) })),
  },
  { name: 'log-truncated', lie: 'a log without its last event', check: 'log-replay', change: truncated },
  {
    name: 'log-extended',
    lie: 'a log with one event more',
    check: 'log-replay',
    change: inSentLog((events) => [
      ...events,
      described(1, eventTypes.EV_PLATFORM_CONFIG_FLAGS, { data: new Uint8Array(4), measured: 'never' }),
    ]),
  },
  {
    name: 'log-reordered',
    lie: 'a log with two events of one PCR in the other order',
    check: 'log-replay',
    change: inSentLog((events) => swapFirst(events, 0)),
  },
  {
    name: 'log-changed-digest',
    lie: 'a digest in the log that is not what was extended',
    check: 'log-replay',
    change: inSentLog((events) =>
      events.map((each, at) => (at === 1 ? { ...each, digest: sha256('something else') } : each)),
    ),
  },
  {
    name: 'log-forged-locality',
    lie: 'a StartupLocality event although the TPM was started from locality 0',
    check: 'log-replay',
    change: inSentLog((events) => [note('StartupLocality', Uint8Array.of(3)), ...events]),
  },
  {
    name: 'log-locality-twice',
    lie: 'two StartupLocality events',
    check: 'log-locality',
    change: inSentLog((events) => [
      note('StartupLocality', Uint8Array.of(0)),
      note('StartupLocality', Uint8Array.of(0)),
      ...events,
    ]),
  },
  {
    name: 'log-locality-late',
    lie: 'a StartupLocality event after PCR 0 was extended',
    check: 'log-locality',
    change: inSentLog((events) => [...events, note('StartupLocality', Uint8Array.of(0))]),
  },
  {
    name: 'log-locality-impossible',
    lie: 'a TPM started from locality 2',
    check: 'log-locality',
    change: (plan) => inLocality(plan, 2),
  },
  {
    name: 'log-event-data-differs',
    lie: 'a version string in the log that is not the one measured',
    check: 'log-event-data',
    change: inSentLog((events) =>
      events.map((each) =>
        each.type === eventTypes.EV_S_CRTM_VERSION
          ? { ...each, data: Buffer.from('newer firmware 9.9\0', 'utf16le') }
          : each,
      ),
    ),
  },
  {
    name: 'log-event-data-variable-differs',
    lie: 'a boot action with other words than those measured',
    check: 'log-event-data',
    change: inSentLog((events) =>
      events.map((each) =>
        each.type === eventTypes.EV_EFI_ACTION && each.pcr === 4
          ? { ...each, data: Buffer.from('Calling Setup') }
          : each,
      ),
    ),
  },
  {
    name: 'log-event-unmeasured',
    lie: 'an event in a PCR that is not quoted',
    check: 'log-unmeasured',
    change: inSentLog((events) => [
      ...events,
      described(16, eventTypes.EV_IPL, { data: Buffer.from('debug'), measured: 'debug' }),
    ]),
  },
  {
    name: 'log-note-with-digest',
    lie: 'a note that was not extended but carries a digest',
    check: 'log-unmeasured',
    change: inSentLog((events) => [
      ...events,
      { ...note('SP800-155 Event', new Uint8Array(20)), digest: sha256('x') },
    ]),
  },
  {
    name: 'log-note-unknown',
    lie: 'a note in a form no firmware leaves',
    check: 'log-unmeasured',
    change: inSentLog((events) => [...events, note('All is well', new Uint8Array(4))]),
  },
  {
    name: 'separator-twice',
    lie: 'two separators in one PCR',
    check: 'log-separators',
    change: inEvents((events) => insertBefore(events, isSeparator(3), separator(3))),
  },
  {
    name: 'separator-missing',
    lie: 'firmware that never ended its measurements of PCR 3',
    check: 'log-separators',
    change: inEvents((events) => without(events, isSeparator(3))),
  },
  {
    name: 'separator-error',
    lie: 'the separator with which firmware says that it failed',
    check: 'log-separators',
    change: inEvents((events) => events.map((each) => (isSeparator(2)(each) ? separator(2, 1) : each))),
  },
  {
    name: 'userspace-log-not-a-log',
    lie: 'text that is no log',
    check: 'userspace-log',
    unreadable: true,
    change: inEvidence(() => ({ userspaceLog: 'all is well\n' })),
  },
  {
    name: 'userspace-words-differ',
    lie: 'a record that says another phase than was measured',
    check: 'userspace-log',
    change: inEvidence(({ userspaceLog }) => ({
      userspaceLog: userspaceLog.replace('"string":"ready"', '"string":"final"'),
    })),
  },
  {
    name: 'userspace-other-boot',
    lie: 'a record of another boot',
    check: 'userspace-log',
    change: inEvidence(({ userspaceLog }) => ({
      userspaceLog: userspaceLog.replace(/"bootId":"[0-9a-f]{32}"/, `"bootId":"${'0'.repeat(32)}"`),
    })),
  },
  {
    name: 'userspace-extends-firmware-pcr',
    lie: 'a record that claims a PCR of firmware',
    check: 'userspace-log',
    change: (plan) => ({ ...plan, records: [...plan.records, phaseRecord('late', 1)] }),
  },
  {
    name: 'userspace-log-truncated',
    lie: 'a userspace log without its last record',
    check: 'log-replay',
    change: inEvidence(({ userspaceLog }) => ({
      userspaceLog: userspaceLog.slice(0, userspaceLog.lastIndexOf('\u001e')),
    })),
  },
];

function truncated(plan: Plan): Plan {
  const last = described(1, eventTypes.EV_PLATFORM_CONFIG_FLAGS, {
    data: new Uint8Array(4),
    measured: 'late',
  });
  const whole = { ...plan, events: [...plan.events, last] };
  return { ...whole, evidence: (evidence) => ({ ...evidence, firmwareLog: encodeLog(plan.events) }) };
}

function swapFirst(events: readonly ModelEvent[], pcr: number): readonly ModelEvent[] {
  const [a, b] = events.flatMap((each, at) => (each.pcr === pcr ? [at] : []));
  if (a === undefined || b === undefined) throw new TypeError(`not two events of PCR ${pcr}`);
  return events.map((each, at) => (at === a ? (events[b] ?? each) : at === b ? (events[a] ?? each) : each));
}

/** The TPM really was started from there, if that were possible: only the rule about localities is broken. */
function inLocality(plan: Plan, locality: number): Plan {
  return { ...plan, events: [note('StartupLocality', Uint8Array.of(locality)), ...plan.events] };
}
