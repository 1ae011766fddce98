/** Verification alone: whoever only verifies need not load what builds. */

export type { Check } from './checks.ts';
export { verifyImage } from './verify.ts';
export type { VerifyImageOptions, VerifyReport } from './verify.ts';
