export { encodePcrSignatures, parsePcrSignatures } from './json.ts';
export { pcrKeyFingerprint, pcrPolicy, planPcrSignature, verifyPcrSignature } from './policy.ts';
export type { PcrSignatureInput, PcrSignaturePlan, PcrSignatureVerdict, PcrValues } from './policy.ts';
export { pcrSignatureBanks } from './types.ts';
export type { PcrSignature, PcrSignatureBank, PcrSignatures } from './types.ts';
