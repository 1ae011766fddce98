/** Values follow from events: a file in which they do not is wrong, whoever signed it. */

import { FormatError, fromHex, toHex } from '../bytes/index.ts';
import { bankFacts, extendPcr, startValue } from '../eventlog/index.ts';
import type { BootPhase, ExpectedEvent, ReferenceBank, ReferenceValues } from './types.ts';
import { bootPhases } from './types.ts';

/** The value of one PCR after each phase. @throws FormatError when events are not in the order of the phases */
export function phaseValues(
  events: readonly ExpectedEvent[],
  bank: ReferenceBank,
): Readonly<Record<BootPhase, string>> {
  let value = startValue(bankFacts(bank).size);
  let phase = 0;
  const values = new Map<BootPhase, string>();
  const close = (until: number): void => {
    for (; phase < until; phase += 1) values.set(bootPhases[phase] ?? 'ready', toHex(value));
  };
  for (const event of events) {
    const begins = event.begins === undefined ? phase : bootPhases.indexOf(event.begins);
    if (begins < phase || (event.begins !== undefined && begins === phase)) {
      throw new FormatError('malformed', `reference values: ${event.what}: its phase began before`);
    }
    close(begins);
    value = extendPcr(bank, value, fromHex(event.digest));
  }
  close(bootPhases.length);
  const get = (name: BootPhase): string => values.get(name) ?? toHex(value);
  return {
    firmware: get('firmware'),
    'enter-initrd': get('enter-initrd'),
    'leave-initrd': get('leave-initrd'),
    sysinit: get('sysinit'),
    ready: get('ready'),
  };
}

/** @throws FormatError unless every value is what its events make */
export function assertReplays(reference: ReferenceValues, code: 'malformed' | 'not-encodable'): void {
  const size = bankFacts(reference.bank).size * 2;
  for (const { pcr, events, values } of reference.pcrs) {
    const wrong = events.find(({ digest }) => digest.length !== size);
    if (wrong !== undefined) {
      throw new FormatError(
        code,
        `reference-values.json: PCR ${pcr}: ${wrong.what}: not a ${reference.bank} digest`,
      );
    }
    const made = phaseValues(events, reference.bank);
    for (const phase of bootPhases) {
      if (made[phase] === values[phase]) continue;
      const why = `the events make ${made[phase]} in phase ${phase}, the file says ${values[phase]}`;
      throw new FormatError(code, `reference-values.json: PCR ${pcr}: ${why}`);
    }
  }
}
