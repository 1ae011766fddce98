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
  NodeSummary,
  ReleaseChange,
  ReleaseSummary,
  SecretAnswer,
  SecretRequest,
  SecretSummary,
  Store,
  StoredCheck,
  StoredClock,
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
