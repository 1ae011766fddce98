export { AttestError } from './error.ts';
export type { AttestErrorCode } from './error.ts';
export { evidenceSchemaName } from './evidence/types.ts';
export type { Evidence } from './evidence/types.ts';
export { encodeEvidence, parseEvidence } from './evidence/parse.ts';
export { policySchemaName } from './policy/types.ts';
export type { FirmwareRules, Policy, PolicyRelease, ReleaseState, WrittenPolicy } from './policy/types.ts';
export { parsePolicy } from './policy/parse.ts';
export type { ParsedPolicy, ParsePolicyOptions } from './policy/parse.ts';
export { policyJsonSchema } from './policy/schema.ts';
export { loadPolicy } from './policy/load.ts';
export type { LoadedPolicy } from './policy/load.ts';
export { openReferenceRelease } from './release/open.ts';
export type { OpenReferenceOptions, ReleaseFiles } from './release/open.ts';
export type { ReferenceRelease } from './release/types.ts';
export { judgeEnrolment } from './ek/judge.ts';
export { enrolmentCheckIds } from './ek/types.ts';
export type {
  EnrolmentCheck,
  EnrolmentCheckId,
  EnrolmentClaim,
  EnrolmentContext,
  EnrolmentJudgement,
} from './ek/types.ts';
export { verifyEvidence } from './verify/verify.ts';
export { encodeNodeRecord, parseNodeRecord } from './verify/node-record.ts';
export { appraisalIds, authenticationIds, checkIds } from './verify/ids.ts';
export type { CheckId } from './verify/ids.ts';
export type {
  AttestCheck,
  LastSeen,
  NodeRecord,
  NonceRecord,
  Verdict,
  VerifyContext,
} from './verify/types.ts';
export { issueToken } from './token/issue.ts';
export type { IssueOptions, VerdictToken } from './token/issue.ts';
export { createTokenSigner, jwksOf } from './token/keys.ts';
export { earProfile } from './token/types.ts';
export type { JsonWebKeyP256, JsonWebKeySet, TokenSigner, VerdictClaims } from './token/types.ts';
export { verifyToken } from './token/verify.ts';
export type { VerifyTokenOptions } from './token/verify.ts';
export { brokenFirmwareRules, changedParts, compareWithRelease, diffTexts } from './explain/index.ts';
export type {
  BrokenRule,
  Comparison,
  Difference,
  ExplainInput,
  FoundEvent,
  PcrComparison,
  TextChange,
} from './explain/index.ts';
