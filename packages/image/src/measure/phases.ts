/** PCR 11 after firmware: systemd-pcrextend measures the name of each phase (systemd-pcrphase.service(8)). */

import type { PcrBank } from '@osguard/formats/eventlog';
import type { BootPhase, ExpectedEvent } from '@osguard/formats/reference-values';
import { bootPhases } from '@osguard/formats/reference-values';
import { hashBytes } from './digest.ts';

const units: Readonly<Record<Exclude<BootPhase, 'firmware'>, string>> = {
  'enter-initrd': 'systemd-pcrphase-initrd.service, start',
  'leave-initrd': 'systemd-pcrphase-initrd.service, stop',
  sysinit: 'systemd-pcrphase-sysinit.service, start',
  ready: 'systemd-pcrphase.service, start',
};

export function phaseEvents(bank: PcrBank): readonly ExpectedEvent[] {
  return bootPhases.flatMap((phase) =>
    phase === 'firmware'
      ? []
      : [
          {
            log: 'userspace',
            type: 'phase',
            digest: hashBytes(phase, bank),
            what: `phase ${phase}`,
            source: units[phase],
            text: phase,
            begins: phase,
          },
        ],
  );
}
