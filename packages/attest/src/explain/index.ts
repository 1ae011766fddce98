export { compareWithRelease } from './compare.ts';
export { brokenFirmwareRules } from './firmware-rules.ts';
export type { FoundEvent } from './found.ts';
export { changedParts, diffTexts } from './text-diff.ts';
export type { TextChange } from './text-diff.ts';
export type { BrokenRule, Comparison, Difference, ExplainInput, PcrComparison } from './types.ts';
