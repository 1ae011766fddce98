export { AttestError } from './error.ts';
export type { AttestErrorCode } from './error.ts';
export { evidenceSchemaName } from './evidence/types.ts';
export type { Evidence } from './evidence/types.ts';
export { policySchemaName } from './policy/types.ts';
export type { FirmwareRules, Policy, PolicyRelease, ReleaseState } from './policy/types.ts';
export type { ReferenceRelease, ReferenceValues } from './release/types.ts';
export { checkIds } from './verify/ids.ts';
export type { CheckId } from './verify/ids.ts';
export type {
  AttestCheck,
  LastSeen,
  NodeRecord,
  NonceRecord,
  Verdict,
  VerifyContext,
} from './verify/types.ts';
export type { JsonWebKeyP256, JsonWebKeySet, TokenSigner, VerdictToken } from './token/types.ts';
