/** Whether a log keeps the rules for the PCRs that firmware decides. Pure, and cheap enough for every verification. */

import { FormatError, toHex } from '@osguard/formats/bytes';
import type { EventLog, LogEvent } from '@osguard/formats/eventlog';
import { checkEventDigest, describeEvent, eventTypes } from '@osguard/formats/eventlog';
import type { FirmwareRule, ReferenceBank } from '@osguard/formats/reference-values';
import type { BrokenRule } from './types.ts';

/** Every rule once, with the first event that breaks it. Empty when all hold. */
export function brokenFirmwareRules(
  rules: readonly FirmwareRule[],
  log: EventLog,
  bank: ReferenceBank,
): readonly BrokenRule[] {
  const byPcr = new Map<number, LogEvent[]>();
  for (const event of log.events) {
    if (event.type === eventTypes.EV_NO_ACTION) continue;
    const list = byPcr.get(event.pcr);
    if (list === undefined) byPcr.set(event.pcr, [event]);
    else list.push(event);
  }
  const broken: BrokenRule[] = [];
  for (const rule of rules) {
    const fault = faultOf(rule, { byPcr, bank });
    if (fault !== undefined) broken.push({ rule, ...fault });
  }
  return broken;
}

interface Events {
  readonly byPcr: ReadonlyMap<number, readonly LogEvent[]>;
  readonly bank: ReferenceBank;
}

type Fault = Omit<BrokenRule, 'rule'>;

function faultOf(rule: FirmwareRule, { byPcr, bank }: Events): Fault | undefined {
  const pcrs = rule.kind === 'actions' ? [rule.pcr] : rule.pcrs;
  for (const pcr of pcrs) {
    const events = byPcr.get(pcr) ?? [];
    const fault = faultInPcr(rule, { pcr, events, bank });
    if (fault !== undefined) return fault;
  }
  return undefined;
}

interface PcrEvents {
  readonly pcr: number;
  readonly events: readonly LogEvent[];
  readonly bank: ReferenceBank;
}

function faultInPcr(rule: FirmwareRule, { pcr, events, bank }: PcrEvents): Fault | undefined {
  switch (rule.kind) {
    case 'separators':
      return separatorFault(events, pcr);
    case 'event-types': {
      const allowed: readonly string[] = rule.types;
      return at(
        events.find(({ typeName }) => !allowed.includes(typeName)),
        'is of a type that has no place there',
      );
    }
    case 'no-event-types': {
      const refused: readonly string[] = rule.types;
      return at(
        events.find(({ typeName }) => refused.includes(typeName)),
        'is of a type that has no place there',
      );
    }
    case 'no-events':
      return at(events[0], 'extends a PCR that nothing may extend');
    case 'drivers': {
      const allowed = new Set(rule.allowed);
      const driver = events.find(
        (event) => mayBeDriver(event, bank) && !allowed.has(toHex(event.digests[bank] ?? new Uint8Array())),
      );
      return at(driver, 'is a driver nobody allowed, or could be one');
    }
    case 'actions':
      return actionFault(rule.texts, events, pcr);
    case 'digests':
      return at(
        events.find((event) => digestDiffers(event, bank)),
        'has another digest than its data',
      );
  }
}

/** Firmware that failed says so with the value 1. */
function separatorFault(events: readonly LogEvent[], pcr: number): Fault | undefined {
  const [first, second] = events.filter(({ type }) => type === eventTypes.EV_SEPARATOR);
  if (first === undefined) return { message: `PCR ${pcr} has no separator` };
  if (second !== undefined) return at(second, 'is a second separator');
  const { data } = first;
  const whole = data.length === 4 && (data.every((b) => b === 0) || data.every((b) => b === 0xff));
  return whole ? undefined : at(first, 'is no separator of firmware that did its work');
}

/** Of these texts each once and in order; what else firmware says there is its own affair. */
function actionFault(texts: readonly string[], events: readonly LogEvent[], pcr: number): Fault | undefined {
  const said = events.flatMap((event) => {
    if (event.type !== eventTypes.EV_EFI_ACTION) return [];
    const text = Buffer.from(event.data).toString('latin1').replace(/\0$/, '');
    return texts.includes(text) ? [{ event, text }] : [];
  });
  for (const [index, text] of texts.entries()) {
    const found = said[index];
    if (found === undefined) return { message: `PCR ${pcr} lacks ${JSON.stringify(text)}` };
    if (found.text !== text) return at(found.event, `stands where ${JSON.stringify(text)} has to`);
  }
  return at(said[texts.length]?.event, 'is there once more');
}

/**
 * The type of an event is not measured: whoever writes the log could call a driver something else, and give any bytes
 * that hash to its digest as data. Only the four bytes of a separator are sure to be none.
 */
function mayBeDriver(event: LogEvent, bank: ReferenceBank): boolean {
  const { type, data } = event;
  return type !== eventTypes.EV_SEPARATOR || data.length !== 4 || digestDiffers(event, bank);
}

function digestDiffers(event: LogEvent, bank: ReferenceBank): boolean {
  try {
    return checkEventDigest(event, bank) === 'differs';
  } catch (error) {
    if (error instanceof FormatError) return true;
    throw error;
  }
}

function at(event: LogEvent | undefined, why: string): Fault | undefined {
  if (event === undefined) return undefined;
  const { index, offset, pcr, typeName } = event;
  return {
    message: `PCR ${pcr}, event ${index}, ${typeName} (${describeEvent(event)}) ${why}`,
    event: { index, offset, pcr, type: typeName },
  };
}
