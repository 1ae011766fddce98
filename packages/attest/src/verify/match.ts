/**
 * Which release did this machine boot? Decided by the values the TPM signed and nothing else: logs only explain. PCR 7 is
 * not compared as a value, because an update of dbx changes it without changing what booted; see secure-boot.ts.
 */

import type { BootPhase } from '@osguard/formats/reference-values';
import type { ReferenceRelease } from '../release/types.ts';
import type { VerifyContext } from './types.ts';

export interface ReleaseMatch {
  readonly release: ReferenceRelease;
  /** Undefined when no phase fits. */
  readonly phase: BootPhase | undefined;
  /** PCRs that do not have the value of the nearest phase. */
  readonly wrong: readonly number[];
}

/** Phases in which the agent runs: the host has left the initrd, and is not on its way down. */
const acceptedPhases: readonly BootPhase[] = ['ready', 'sysinit'];

export const secureBootPcr = 7;
/** A file without these decides nothing and matches nobody. */
const decisivePcrs: readonly number[] = [4, secureBootPcr, 9, 11, 12, 13];

const byState = { promoted: 0, deprecated: 1, revoked: 2 } as const;

/** Undefined when no release is known. */
export function matchRelease(
  pcrs: ReadonlyMap<number, string>,
  { releases }: Pick<VerifyContext, 'releases'>,
): ReleaseMatch | undefined {
  let best: ReleaseMatch | undefined;
  for (const release of releases) {
    const match = compareValues(pcrs, release);
    if (best === undefined || isBetter(match, best)) best = match;
  }
  return best;
}

function isBetter(a: ReleaseMatch, b: ReleaseMatch): boolean {
  if (a.wrong.length !== b.wrong.length) return a.wrong.length < b.wrong.length;
  return byState[a.release.state] < byState[b.release.state];
}

function compareValues(pcrs: ReadonlyMap<number, string>, release: ReferenceRelease): ReleaseMatch {
  const references = release.values.pcrs;
  const absent = decisivePcrs.filter((pcr) => !references.some((reference) => reference.pcr === pcr));
  let nearest: { readonly phase: BootPhase; readonly wrong: readonly number[] } | undefined;
  for (const phase of acceptedPhases) {
    const wrong = absent.concat(
      references.flatMap(({ pcr, values }) =>
        pcr === secureBootPcr || pcrs.get(pcr) === values[phase] ? [] : [pcr],
      ),
    );
    if (nearest === undefined || wrong.length < nearest.wrong.length) nearest = { phase, wrong };
    if (wrong.length === 0) break;
  }
  const { phase, wrong } = nearest ?? { phase: undefined, wrong: absent };
  return { release, phase: wrong.length === 0 ? phase : undefined, wrong };
}
