export { encodeDsse, parseDsse, preAuthenticationEncoding } from './envelope.ts';
export type { DsseEnvelope, DsseSignature } from './envelope.ts';
export { planDsse } from './plan.ts';
export type { DsseContent, DssePlan } from './plan.ts';
export { certificateDsseKey, verifyDsse } from './verify.ts';
export type { DsseKey, DsseVerdict } from './verify.ts';
export { encodeStatement, inTotoPayloadType, parseStatement, statementType } from './in-toto.ts';
export type { InTotoStatement, InTotoSubject } from './in-toto.ts';
