/** What a lie is, and the few ways in which the cases change the good story. */

import { parseTpmSignature, encodeTpmSignature } from '@osguard/formats/tpm2';
import { toHex } from '@osguard/formats/bytes';
import { eventTypes } from '@osguard/formats/eventlog';
import { bootLog, encodeLog } from '../model/log.ts';
import { attestationKeyArea } from '../model/tpm.ts';
import type { ObjectAttribute, TpmPublic } from '@osguard/formats/tpm2';
import type { CheckId } from '../../src/verify/ids.ts';
import type { Evidence } from '../../src/evidence/types.ts';
import { goodBoot } from '../model/boot.ts';
import type { Plan } from '../model/baseline.ts';
import type { ModelBoot, ModelEvent } from '../model/log.ts';

export interface Lie {
  /** Name of the case file. */
  readonly name: string;
  /** What is claimed falsely, for people. */
  readonly lie: string;
  /** The check that must be the first that is not ok. */
  readonly check: CheckId;
  readonly change: (plan: Plan) => Plan;
  /**
   * Without the check nothing would be left to look at: what it refuses cannot be parsed. For these the tests show that
   * everything after it fails too, instead of showing that the evidence would pass.
   */
  readonly unreadable?: true;
}

export const minute = 60_000;

export const inEvidence =
  (change: (evidence: Evidence) => Partial<Evidence>) =>
  (plan: Plan): Plan => ({ ...plan, evidence: (evidence) => ({ ...evidence, ...change(evidence) }) });

export const inDocument =
  (change: (text: string) => string) =>
  (plan: Plan): Plan => ({
    ...plan,
    document: (bytes) => Buffer.from(change(Buffer.from(bytes).toString('utf8')), 'utf8'),
  });

export const inEvents =
  (change: (events: readonly ModelEvent[]) => readonly ModelEvent[]) =>
  (plan: Plan): Plan => ({ ...plan, events: change(plan.events) });

/** Only the log that is sent: the TPM holds what the good log gives. */
export const inSentLog =
  (change: (events: readonly ModelEvent[]) => readonly ModelEvent[]) =>
  (plan: Plan): Plan => ({
    ...plan,
    evidence: (evidence) => ({ ...evidence, firmwareLog: encodeLog(change(plan.events)) }),
  });

/** The node is known by a key with other attributes: it got past an enrolment that did not look. */
export const withAttributes =
  (changes: Partial<Record<ObjectAttribute, boolean>>) =>
  (plan: Plan): Plan => ({ ...plan, ak: attestationKeyArea('attestationKey', changes) });

export const withArea =
  (change: (area: TpmPublic) => TpmPublic) =>
  (plan: Plan): Plan => ({ ...plan, ak: change(plan.ak) });

export const booting =
  (changes: Partial<ModelBoot>) =>
  (plan: Plan): Plan => ({
    ...plan,
    events: bootLog({ ...goodBoot, ...changes }),
    commandLine: changes.commandLine ?? plan.commandLine,
  });

export const insertBefore = (
  events: readonly ModelEvent[],
  at: (event: ModelEvent) => boolean,
  added: ModelEvent,
): readonly ModelEvent[] => {
  const index = events.findIndex(at);
  return [...events.slice(0, index), added, ...events.slice(index)];
};

export const isSeparator =
  (pcr: number) =>
  (each: ModelEvent): boolean =>
    each.pcr === pcr && each.type === eventTypes.EV_SEPARATOR;

export const without = (
  events: readonly ModelEvent[],
  drop: (event: ModelEvent) => boolean,
): readonly ModelEvent[] => events.filter((each) => !drop(each));

export const isVariable =
  (name: string) =>
  (each: ModelEvent): boolean =>
    each.pcr === 7 &&
    each.type === eventTypes.EV_EFI_VARIABLE_DRIVER_CONFIG &&
    Buffer.from(each.data).includes(Buffer.from(name, 'utf16le')) &&
    each.data[16] === name.length;

export const replaceVariable =
  (name: string, by: ModelEvent) =>
  (events: readonly ModelEvent[]): readonly ModelEvent[] =>
    events.map((each) => (isVariable(name)(each) ? by : each));

export const signatureParts = (bytes: Uint8Array): { r: Uint8Array; s: Uint8Array } => {
  const parsed = parseTpmSignature(bytes);
  if (parsed.scheme !== 'ecdsa') throw new TypeError('the suite signs with ECDSA');
  return parsed;
};

const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
export const twin = (bytes: Uint8Array): Uint8Array => {
  const { r, s } = signatureParts(bytes);
  const other = (order - BigInt(`0x${toHex(s)}`)).toString(16).padStart(64, '0');
  return encodeTpmSignature({ scheme: 'ecdsa', hash: 'sha256', r, s: Buffer.from(other, 'hex') });
};
