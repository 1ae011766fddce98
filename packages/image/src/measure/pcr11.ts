/** PCR 11 for any bank and any path of phases, as systemd-measure(1) calculates it. */

import { fromHex, toHex } from '@osguard/formats/bytes';
import type { PcrBank } from '@osguard/formats/eventlog';
import { bankFacts, extendPcr, startValue } from '@osguard/formats/eventlog';
import { hashBytes } from './digest.ts';
import type { MeasuredSection, SectionContent } from './uki-sections.ts';
import { sectionEvents } from './uki-sections.ts';

/** What systemd-measure signs for unless told otherwise: after each phase of a boot, with nothing before it left out. */
export const phasePaths = [
  '',
  'enter-initrd',
  'enter-initrd:leave-initrd',
  'enter-initrd:leave-initrd:sysinit',
  'enter-initrd:leave-initrd:sysinit:ready',
] as const;

export interface Pcr11Value {
  /** Phases joined by colons; empty before the first. */
  readonly phases: string;
  /** Lower-case hex. */
  readonly value: string;
}

/** One value for each path, in their order. Sections are hashed once for all. */
export function calculatePcr11(
  sections: ReadonlyMap<MeasuredSection, SectionContent>,
  { bank, paths = phasePaths }: { readonly bank: PcrBank; readonly paths?: readonly string[] },
): readonly Pcr11Value[] {
  let before = startValue(bankFacts(bank).size);
  for (const { digest } of sectionEvents(sections, { bank }))
    before = extendPcr(bank, before, fromHex(digest));
  return paths.map((phases) => {
    let value = before;
    for (const phase of phases.split(':')) {
      if (phase !== '') value = extendPcr(bank, value, fromHex(hashBytes(phase, bank)));
    }
    return { phases, value: toHex(value) };
  });
}
