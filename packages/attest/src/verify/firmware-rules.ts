/** Rules over the events of PCRs that firmware decides (0 to 3, 5, 6), as the reference values of a release carry them. */

import { toHex } from '@osguard/formats/bytes';
import { describeEvent, eventTypes, parseEventData } from '@osguard/formats/eventlog';
import type { EventLog, LogEvent } from '@osguard/formats/eventlog';
import type { FirmwareRule } from '@osguard/formats/reference-values';
import type { Finding } from './check.ts';
import { eventPlace } from './firmware-log.ts';

type Broken = Omit<Finding, 'ok'>;

/** Separators and digests are looked at in every PCR, whatever a release says: log-separators and log-event-data. */
export function brokenRules(
  rules: readonly FirmwareRule[],
  log: EventLog,
  drivers: readonly string[],
): readonly Broken[] {
  return rules.flatMap((rule) => {
    const broken = breach(rule, log, drivers);
    return broken === undefined ? [] : [{ ...broken, message: `${broken.message}: ${rule.why}` }];
  });
}

function breach(rule: FirmwareRule, log: EventLog, drivers: readonly string[]): Broken | undefined {
  const extending = (pcrs: readonly number[]): readonly LogEvent[] =>
    log.events.filter(({ pcr, type }) => type !== eventTypes.EV_NO_ACTION && pcrs.includes(pcr));
  switch (rule.kind) {
    case 'separators':
    case 'digests':
      return undefined;
    case 'no-events': {
      const [event] = extending(rule.pcrs);
      return event === undefined ? undefined : about(event, 'nothing extends this PCR', 'no event');
    }
    case 'event-types': {
      const event = extending(rule.pcrs).find(
        ({ typeName }) => !rule.types.some((type) => type === typeName),
      );
      return event === undefined
        ? undefined
        : about(event, 'an event of this type does not belong there', rule.types.join(', '));
    }
    case 'no-event-types': {
      const event = extending(rule.pcrs).find(({ typeName }) => rule.types.some((type) => type === typeName));
      return event === undefined
        ? undefined
        : about(event, 'an event of this type does not belong there', 'no such event');
    }
    case 'drivers': {
      const event = extending(rule.pcrs).find(
        (each) => isDriver(each) && !isAllowed(each, [...rule.allowed, ...drivers]),
      );
      return event === undefined
        ? undefined
        : about(event, 'firmware ran a driver nobody allowed', 'a driver the policy names');
    }
    case 'actions': {
      const actions = extending([rule.pcr]).filter(({ type }) => type === eventTypes.EV_EFI_ACTION);
      const texts = actions.map(textOf);
      if (texts.length === rule.texts.length && texts.every((text, at) => text === rule.texts[at]))
        return undefined;
      return {
        message: 'firmware did not go the way of an ordinary boot',
        expected: rule.texts.join(', '),
        found: texts.join(', ') || 'no action',
        where: `PCR ${rule.pcr}`,
      };
    }
  }
}

function isDriver({ type }: LogEvent): boolean {
  return (
    type === eventTypes.EV_EFI_BOOT_SERVICES_DRIVER || type === eventTypes.EV_EFI_RUNTIME_SERVICES_DRIVER
  );
}

function isAllowed({ digests }: LogEvent, allowed: readonly string[]): boolean {
  return digests.sha256 !== undefined && allowed.includes(toHex(digests.sha256));
}

function textOf(event: LogEvent): string {
  const data = parseEventData(event);
  return data.kind === 'text' ? data.text : data.kind;
}

function about(event: LogEvent, message: string, expected: string): Broken {
  return { message, expected, found: describeEvent(event), where: eventPlace(event) };
}
