export { StoreError } from './error.ts';
export type { StoreErrorCode } from './error.ts';
export { decisionHash } from './chain.ts';
export { genesis } from './schema.ts';
export { openStore } from './open.ts';
export { openSqlStore } from './sql-store.ts';
export { openSqliteDriver } from './sqlite-driver.ts';
export { openPostgresDriver } from './postgres-driver.ts';
export type { Driver, Queries } from './driver.ts';
export type { PendingDecision } from './group-commit.ts';
export { isInScope } from './scope.ts';
export type { Recipient } from './scope.ts';
export { tokenRoles } from './types.ts';
export type {
  Act,
  Applicant,
  ChainHead,
  Decision,
  EnrolmentLimits,
  NewNode,
  NonceLimits,
  NodeDetail,
  NodeQuery,
  NodeState,
  NodeSummary,
  PolicyLoad,
  ReleaseChange,
  ReleaseSummary,
  SecretAnswer,
  SecretRequest,
  SecretScope,
  SecretSummary,
  Store,
  StoredCheck,
  StoredClock,
  StoredEndorsement,
  StoredEnrolment,
  StoredLastSeen,
  StoredNode,
  StoredNonce,
  StoredRelease,
  StoredReleaseState,
  StoredWebhook,
  TokenRole,
  TokenSummary,
  TrustCount,
  TrustState,
  VerdictRecord,
  WebhookProgress,
  WebhookSummary,
} from './types.ts';
