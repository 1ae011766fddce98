export { phaseValues } from './replay.ts';
export { firmwareRuleSchema } from './rules.ts';
export type {
  ActionRule,
  DigestRule,
  DriverRule,
  EventTypesRule,
  FirmwareRule,
  NoEventsRule,
  NoEventTypesRule,
  SeparatorRule,
} from './rules.ts';
export { encodeReferenceValues, parseReferenceValues, referenceValuesSchemaName } from './schema.ts';
export { bootPhases } from './types.ts';
export type { BootPhase, ExpectedEvent, PcrReference, ReferenceBank, ReferenceValues } from './types.ts';
