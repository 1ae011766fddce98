/** Logs beside a release: which event of which PCR differs, what was expected, and where the expectation comes from. */

import { bankFacts, replay, startValue } from '@osguard/formats/eventlog';
import { toHex } from '@osguard/formats/bytes';
import type {
  BootPhase,
  ExpectedEvent,
  PcrReference,
  ReferenceValues,
} from '@osguard/formats/reference-values';
import { bootPhases } from '@osguard/formats/reference-values';
import { replayUserspace } from '@osguard/formats/userspace-log';
import { align } from './align.ts';
import type { Step } from './align.ts';
import { brokenFirmwareRules } from './firmware-rules.ts';
import type { FoundEvent } from './found.ts';
import { foundEvents } from './found.ts';
import { meaningOf } from './meaning.ts';
import { diffTexts } from './text-diff.ts';
import type { Comparison, Difference, ExplainInput, PcrComparison } from './types.ts';

/** @throws FormatError when a log has no digests of the reference's bank, or cannot be replayed */
export function compareWithRelease(input: ExplainInput): Comparison {
  const { log, records, reference, values } = input;
  const { bank } = reference;
  const start = replay(log, bank);
  const made = new Map([...start, ...replayUserspace(records, bank, { start })]);
  const events = foundEvents(log, records, { bank, commandLine: input.commandLine });
  const phase = phaseReached(reference, events);
  const zeros = toHex(startValue(bankFacts(bank).size));
  const pcrs = reference.pcrs.map((each) =>
    comparePcr(each, {
      phase,
      made: made.get(each.pcr) ?? zeros,
      quoted: values?.get(each.pcr),
      found: events.get(each.pcr) ?? [],
      known: input.known ?? [],
    }),
  );
  const broken = brokenFirmwareRules(reference.firmware, log, bank);
  return {
    ok: pcrs.every(({ ok }) => ok) && broken.length === 0,
    release: { name: reference.name, version: reference.version },
    phase,
    pcrs,
    differences: pcrs.flatMap(({ differences }) => differences).sort((a, b) => rank(a) - rank(b)),
    broken,
  };
}

/** The last phase whose beginning is in the log, in the order of the phases. */
export function phaseReached(
  reference: ReferenceValues,
  events: ReadonlyMap<number, readonly FoundEvent[]>,
): BootPhase {
  let reached: BootPhase = 'firmware';
  for (const { pcr, events: expected } of reference.pcrs) {
    const digests = new Set(events.get(pcr)?.map(({ log, digest }) => `${log} ${digest}`));
    for (const { begins, log, digest } of expected) {
      if (begins === undefined || !digests.has(`${log} ${digest}`)) continue;
      if (bootPhases.indexOf(begins) > bootPhases.indexOf(reached)) reached = begins;
    }
  }
  return reached;
}

interface PcrInput {
  readonly phase: BootPhase;
  /** Value the logs make. */
  readonly made: string;
  readonly quoted: string | undefined;
  readonly found: readonly FoundEvent[];
  readonly known: readonly ReferenceValues[];
}

function comparePcr(reference: PcrReference, input: PcrInput): PcrComparison {
  const { pcr, name } = reference;
  const { phase, made, quoted } = input;
  const expected = reference.values[phase];
  const found = quoted ?? made;
  const steps = align(eventsUntil(reference.events, phase), input.found, {
    same: (a, b) => a.digest === b.digest && a.log === b.log,
    alike: (a, b) => a.log === b.log && a.type === b.type && isSameThing(a, b),
  });
  const differences = steps.flatMap((step, place) =>
    step.kind === 'same' ? [] : [difference(step, { reference, place, known: input.known })],
  );
  return {
    pcr,
    name,
    ok: found === expected,
    expected,
    found,
    ...(quoted !== undefined && quoted !== made && { logsLie: made }),
    differences,
  };
}

function eventsUntil(events: readonly ExpectedEvent[], phase: BootPhase): readonly ExpectedEvent[] {
  const last = bootPhases.indexOf(phase);
  const end = events.findIndex(({ begins }) => begins !== undefined && bootPhases.indexOf(begins) > last);
  return end === -1 ? events : events.slice(0, end);
}

/** The stub names the section in the event, firmware the variable: events of different things are not one that changed. */
function isSameThing(expected: ExpectedEvent, found: FoundEvent): boolean {
  const section = /section (\.[a-z]+)$/.exec(expected.what)?.[1];
  if (section !== undefined) return found.says === JSON.stringify(section);
  const variable = /^(PK|KEK|db|dbx):/.exec(expected.what)?.[1];
  if (variable !== undefined) return found.says.startsWith(`variable ${variable} `);
  if (expected.type !== 'EV_EVENT_TAG') return true;
  return found.says.includes('LoadOptions') === (expected.text !== undefined);
}

interface DifferenceContext {
  readonly reference: PcrReference;
  readonly place: number;
  readonly known: readonly ReferenceValues[];
}

function difference(
  step: Exclude<Step<ExpectedEvent, FoundEvent>, { kind: 'same' }>,
  { reference, place, known }: DifferenceContext,
): Difference {
  const expected = step.kind === 'unexpected' ? undefined : step.expected;
  const found = step.kind === 'missing' ? undefined : step.found;
  const recognised = found && knownEvent(found, known);
  // A text another release has for this very digest is as good as one proved by the log.
  const text = found?.text ?? recognised?.event.text;
  const bare: Difference = {
    pcr: reference.pcr,
    name: reference.name,
    kind: step.kind,
    place,
    ...(expected !== undefined && { expected }),
    ...(found !== undefined && { found: text === undefined ? found : { ...found, text } }),
    ...(expected?.text !== undefined && text !== undefined && { text: diffTexts(expected.text, text) }),
    ...(recognised !== undefined && { knownFrom: recognised.release }),
  };
  const meaning = meaningOf(bare);
  return meaning === undefined ? bare : { ...bare, meaning };
}

interface KnownEvent {
  readonly release: string;
  readonly event: ExpectedEvent;
}

function knownEvent(found: FoundEvent, known: readonly ReferenceValues[]): KnownEvent | undefined {
  for (const { name, version, pcrs } of known) {
    const events = pcrs.find(({ pcr }) => pcr === found.pcr)?.events;
    const event = events?.find(({ digest }) => digest === found.digest);
    if (event !== undefined) return { release: `${name} ${version}`, event };
  }
  return undefined;
}

/** What a person can act on first: texts, then what was handed in from outside, then keys, then plain digests. */
function rank({ text, pcr, kind, found }: Difference): number {
  if (text !== undefined) return (pcr === 7 ? 2 : 0) + (pcr === 9 ? 1 : 0);
  if (kind === 'unexpected' && found?.text !== undefined) return 3;
  const order = [12, 13, 14, 7, 11, 9, 4, 8, 15];
  return 4 + (order.includes(pcr) ? order.indexOf(pcr) : order.length);
}
