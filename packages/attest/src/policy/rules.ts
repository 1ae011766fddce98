/**
 * What of a policy decides about machines that are trusted already. When it becomes stricter, a verdict given before says
 * too little, and the machine has to prove anew. What concerns releases is not here: a verdict names its release, so that
 * can be worked out without the machine. Nor are endorsements, which are looked at again node by node.
 */

import { hash } from 'node:crypto';
import { canonicalJson } from '@osguard/formats/json';
import type { FirmwareRules, Policy } from './types.ts';

export interface VerdictRules {
  readonly pcrs: readonly number[];
  readonly firmware: FirmwareRules;
}

export interface WrittenRules {
  /** SHA-256 of `text`, lower-case hex. */
  readonly digest: string;
  /** Canonical JSON. */
  readonly text: string;
}

export function verdictRules({ quote, firmware }: Policy): VerdictRules {
  const { dbx, versions, pcr0, drivers } = firmware;
  return { pcrs: quote.pcrs, firmware: { dbx, versions, pcr0, drivers } };
}

/** The order in which a person wrote lists makes no other rules. */
export function writeRules({ pcrs, firmware }: VerdictRules): WrittenRules {
  const { dbx, versions, pcr0, drivers } = firmware;
  const text = canonicalJson({
    pcrs: [...pcrs],
    firmware: {
      dbx: sorted(dbx),
      versions: sorted(versions),
      pcr0: sorted(pcr0),
      drivers: sorted(drivers),
    },
  });
  return { digest: hash('sha256', text, 'hex'), text };
}

function sorted(list: readonly string[]): readonly string[] {
  return [...new Set(list)].toSorted();
}

/** Written by {@link writeRules}, maybe by another version of this program: undefined when it cannot be told what it says. */
export function readRules(text: string): VerdictRules | undefined {
  const value: unknown = JSON.parse(text);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- compared below with what it is written as
  const rules = value as VerdictRules;
  try {
    return writeRules(rules).text === text ? rules : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a machine that was trusted under `before` could be refused under `after`. */
export function isStricter(before: VerdictRules, after: VerdictRules): boolean {
  const { firmware: was } = before;
  const { firmware: is } = after;
  return (
    lacks(before.pcrs, after.pcrs) ||
    lacks(was.dbx, is.dbx) ||
    lacks(is.drivers, was.drivers) ||
    narrows(was.versions, is.versions) ||
    narrows(was.pcr0, is.pcr0)
  );
}

/** Something of `wanted` is not in `list`. */
function lacks<T>(list: readonly T[], wanted: readonly T[]): boolean {
  const known = new Set(list);
  return wanted.some((one) => !known.has(one));
}

/** Lists of what is accepted, where none means anything. */
function narrows(before: readonly string[], after: readonly string[]): boolean {
  return after.length > 0 && (before.length === 0 || lacks(after, before));
}
