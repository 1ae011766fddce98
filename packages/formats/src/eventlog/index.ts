export { bankFacts, isPcrBank, pcrBanks } from './algorithms.ts';
export type { BankFacts, PcrBank } from './algorithms.ts';
export { checkEventDigest } from './check-digest.ts';
export type { DigestCheck } from './check-digest.ts';
export { describeEvent } from './describe.ts';
export { formatDevicePath } from './device-path.ts';
export { encodeEventLog, measuredEvent, specIdEvent } from './encode.ts';
export type { EncodableEvent, EncodableLog, MeasuredEvent } from './encode.ts';
export { parseEventData } from './event-data.ts';
export type {
  BytesData,
  EventData,
  FirmwareBlobData,
  ImageLoadData,
  SeparatorData,
  TaggedData,
  TextData,
  VariableData,
} from './event-data.ts';
export type { GptEventData, GptEventPartition } from './gpt-event.ts';
export { startupLocality } from './no-action.ts';
export type { NoActionData } from './no-action.ts';
export { eventLogLimits, parseEventLog } from './parse.ts';
export type { EventLog, LogEvent, ParseLogOptions } from './parse.ts';
export { digestOf, ExtendedPcrs, extendPcr, isDigestOf, replay, startValue } from './replay.ts';
export type { ExtendedPcrsOptions } from './replay.ts';
export { parseSpecId } from './spec-id.ts';
export type { SpecIdEvent } from './spec-id.ts';
export { eventTypeName, eventTypes, isEventTypeName } from './types.ts';
export type { EventTypeName } from './types.ts';
export { encodeVariableData } from './variable-data.ts';
export type { MeasuredVariable } from './variable-data.ts';
