/** Why the PCR values are not those of a release: the event that differs, and where the expectation comes from. */

import { changedParts, compareWithRelease } from '../explain/index.ts';
import type { Difference, FoundEvent } from '../explain/index.ts';
import type { Finding } from './check.ts';
import { secureBootPcr } from './match.ts';
import type { Material } from './material.ts';

type Explained = Omit<Finding, 'ok'>;

/** Differences beyond these tell nobody more. */
const most = 16;

/** At least one, the most telling first. */
export function explainRelease(material: Material): readonly [Explained, ...Explained[]] {
  const { match, evidence, log, records, context } = material;
  const comparison = compareWithRelease({
    log,
    records,
    reference: match.release.values,
    values: evidence.pcrs,
    commandLine: evidence.commandLine,
    known: context.releases.map(({ values }) => values),
  });
  const differences = comparison.differences.filter(({ pcr }) => pcr !== secureBootPcr).map(explained);
  const told = new Set(comparison.differences.map(({ pcr }) => pcr));
  const values = comparison.pcrs
    .filter(({ pcr, ok }) => !ok && pcr !== secureBootPcr && !told.has(pcr))
    .map(({ pcr, expected, found }) => ({
      message: 'the value is not the one the release gives, and no event says why',
      expected,
      found,
      where: `PCR ${pcr}`,
    }));
  const absent = match.wrong
    .filter((pcr) => !comparison.pcrs.some((each) => each.pcr === pcr))
    .map((pcr) => ({ message: 'the reference values do not say what this PCR holds', where: `PCR ${pcr}` }));
  const [first, ...rest] = [...absent, ...differences, ...values].slice(0, most);
  if (first !== undefined) return [first, ...rest];
  const message = 'the machine was in a phase of its boot in which no evidence is taken';
  return [
    { message, expected: 'phase sysinit or ready', found: `phase ${comparison.phase}`, where: 'PCR 11' },
  ];
}

function explained(difference: Difference): Explained {
  const { kind, pcr, name, expected, found, text, knownFrom, meaning } = difference;
  const parts = text && changedParts(text);
  const what = expected?.what ?? found?.says ?? name;
  const verb = {
    changed: 'differs',
    missing: 'was not measured',
    unexpected: 'was measured, and the release does not measure it',
  }[kind];
  const known = knownFrom === undefined ? '' : ` (this is ${knownFrom})`;
  return {
    message: `${what} ${verb}${known}${meaning === undefined ? '' : `: ${meaning}`}`,
    expected:
      expected === undefined
        ? 'nothing there'
        : `${parts?.expected ?? expected.text ?? expected.digest} (from ${expected.source})`,
    found:
      found === undefined
        ? 'nothing there'
        : (parts?.found ?? found.text ?? `${found.digest} (${found.says})`),
    where: found === undefined ? `PCR ${pcr}` : foundPlace(found),
  };
}

function foundPlace({ pcr, index, type, offset, log }: FoundEvent): string {
  return `PCR ${pcr}, event ${index} (${type}, byte ${offset} of the ${log} log)`;
}
