/** What a comparison of a machine's logs with a release says. */

import type { EventLog } from '@osguard/formats/eventlog';
import type {
  BootPhase,
  ExpectedEvent,
  FirmwareRule,
  ReferenceValues,
} from '@osguard/formats/reference-values';
import type { UserspaceRecord } from '@osguard/formats/userspace-log';
import type { FoundEvent } from './found.ts';
import type { TextChange } from './text-diff.ts';

export interface ExplainInput {
  readonly log: EventLog;
  readonly records: readonly UserspaceRecord[];
  readonly reference: ReferenceValues;
  /** Values that count more than the logs: those of a quote. PCR → lower-case hex. */
  readonly values?: ReadonlyMap<number, string>;
  /** What the machine says it was started with; shown only where a digest proves it. */
  readonly commandLine?: string | undefined;
  /** Other releases, whose events are recognised. */
  readonly known?: readonly ReferenceValues[];
}

/** One event that is not as expected. */
export interface Difference {
  readonly pcr: number;
  /** systemd's name of the PCR. */
  readonly name: string;
  readonly kind: 'changed' | 'missing' | 'unexpected';
  /** Place among the events of this PCR, from 0. */
  readonly place: number;
  readonly expected?: ExpectedEvent;
  readonly found?: FoundEvent;
  /** Between both texts, where both are known and proved. */
  readonly text?: readonly TextChange[];
  /** Another release that has the found event at this PCR. */
  readonly knownFrom?: string;
  /** What it means for whoever runs the machine. */
  readonly meaning?: string;
}

export interface PcrComparison {
  readonly pcr: number;
  readonly name: string;
  readonly ok: boolean;
  /** Lower-case hex, in the phase the machine is in. */
  readonly expected: string;
  /** Of the quote when one was given, else what the logs make. */
  readonly found: string;
  /** Given and different from what the logs make: the logs do not tell the truth about this PCR. */
  readonly logsLie?: string;
  readonly differences: readonly Difference[];
}

export interface Comparison {
  readonly ok: boolean;
  readonly release: { readonly name: string; readonly version: string };
  /** The last phase of the release that the userspace log shows. */
  readonly phase: BootPhase;
  /** Of the reference values, in order. */
  readonly pcrs: readonly PcrComparison[];
  /** All differences, the most telling first. */
  readonly differences: readonly Difference[];
  /** Rules for firmware that the log breaks. */
  readonly broken: readonly BrokenRule[];
}

export interface BrokenRule {
  readonly rule: FirmwareRule;
  /** What was found, for people. */
  readonly message: string;
  /** The event at which the rule broke; absent when something is missing. */
  readonly event?: {
    readonly index: number;
    readonly offset: number;
    readonly pcr: number;
    readonly type: string;
  };
}
