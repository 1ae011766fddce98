/**
 * Rules over the events of PCRs whose values differ from machine to machine: firmware code and settings (0–3), the
 * disk (5), the vendor's own (6). Each rule is one demand; a log that breaks none may be of any machine.
 */

import { z } from 'zod';
import type { EventTypeName } from '../eventlog/index.ts';
import { isEventTypeName } from '../eventlog/index.ts';

interface RuleBase {
  /** Stable, for policies and tests: `separators`. */
  readonly id: string;
  /** For people: what a machine that breaks the rule could hide. */
  readonly why: string;
}

/** Exactly one EV_SEPARATOR in each of these PCRs, none of them the one that says firmware failed. */
export interface SeparatorRule extends RuleBase {
  readonly kind: 'separators';
  readonly pcrs: readonly number[];
}

/** Only events of these types extend these PCRs. */
export interface EventTypesRule extends RuleBase {
  readonly kind: 'event-types';
  readonly pcrs: readonly number[];
  readonly types: readonly EventTypeName[];
}

/** No event of these types extends these PCRs. */
export interface NoEventTypesRule extends RuleBase {
  readonly kind: 'no-event-types';
  readonly pcrs: readonly number[];
  readonly types: readonly EventTypeName[];
}

/** No event extends these PCRs. */
export interface NoEventsRule extends RuleBase {
  readonly kind: 'no-events';
  readonly pcrs: readonly number[];
}

/** Drivers firmware loaded from devices: none but these (digests in the bank of the reference values). */
export interface DriverRule extends RuleBase {
  readonly kind: 'drivers';
  readonly pcrs: readonly number[];
  readonly allowed: readonly string[];
}

/** Each of these EV_EFI_ACTION texts once in the PCR, in this order, and no other texts of actions. */
export interface ActionRule extends RuleBase {
  readonly kind: 'actions';
  readonly pcr: number;
  readonly texts: readonly string[];
}

/** Where the digest covers the data in the log, it must. */
export interface DigestRule extends RuleBase {
  readonly kind: 'digests';
  readonly pcrs: readonly number[];
}

export type FirmwareRule =
  | SeparatorRule
  | EventTypesRule
  | NoEventTypesRule
  | NoEventsRule
  | DriverRule
  | ActionRule
  | DigestRule;

const base = { id: z.string().min(1).max(64), why: z.string().min(1).max(256) };
const pcrs = z.array(z.int().min(0).max(23)).min(1).max(24);
const typeName = z.custom<EventTypeName>(
  (value) => typeof value === 'string' && isEventTypeName(value),
  'is no event type',
);

export const firmwareRuleSchema: z.ZodType<FirmwareRule> = z.discriminatedUnion('kind', [
  z.strictObject({ ...base, kind: z.literal('separators'), pcrs }),
  z.strictObject({
    ...base,
    kind: z.literal('event-types'),
    pcrs,
    types: z.array(typeName).max(64),
  }),
  z.strictObject({
    ...base,
    kind: z.literal('no-event-types'),
    pcrs,
    types: z.array(typeName).max(64),
  }),
  z.strictObject({ ...base, kind: z.literal('no-events'), pcrs }),
  z.strictObject({
    ...base,
    kind: z.literal('drivers'),
    pcrs,
    allowed: z.array(z.string().regex(/^[0-9a-f]{64,96}$/)).max(1024),
  }),
  z.strictObject({
    ...base,
    kind: z.literal('actions'),
    pcr: z.int().min(0).max(23),
    texts: z.array(z.string().min(1).max(128)).max(16),
  }),
  z.strictObject({ ...base, kind: z.literal('digests'), pcrs }),
]);
