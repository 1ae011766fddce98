/** What every answer is made from. */

import type { Policy } from '../policy/types.ts';
import type { Store } from '../store/index.ts';
import type { JsonWebKeySet } from '../token/types.ts';
import type { Changes } from './changes.ts';
import type { Judge } from './judge/pool.ts';
import type { Metrics } from './metrics.ts';
import type { PolicyStatus } from './policy-status.ts';
import type { NodeAuthority } from './node-authority.ts';
import type { RateLimit, RateLimiter } from './rate-limit.ts';
import type { ReleaseBook } from './release-book.ts';
import type { Sealing } from './sealing.ts';
import type { SecretNames } from './secret-names.ts';

export interface ServiceLimits {
  /** Requests of one address. */
  readonly address: RateLimit;
  /** Nonces and evidence of one node from one address: a stranger elsewhere does not slow it down. */
  readonly node: RateLimit;
  /** Decisions about strangers that are logged; what is beyond is counted only, so that nobody can fill the disk. */
  readonly strangers: RateLimit;
  /** Nonces one address may have open for a node, and all addresses together. */
  readonly noncesPerNode: number;
  readonly noncesPerNodeInAll: number;
  readonly enrolments: number;
  readonly enrolmentsPerAddress: number;
  /** Milliseconds. */
  readonly enrolmentLifetime: number;
  readonly applicants: number;
  readonly connections: number;
  readonly subscribers: number;
  readonly secrets: number;
}

export const defaultLimits: ServiceLimits = {
  address: { perSecond: 50, burst: 500 },
  node: { perSecond: 0.5, burst: 20 },
  strangers: { perSecond: 5, burst: 500 },
  noncesPerNode: 8,
  noncesPerNodeInAll: 4096,
  enrolments: 1000,
  enrolmentsPerAddress: 50,
  enrolmentLifetime: 300_000,
  applicants: 1000,
  connections: 20_000,
  subscribers: 100,
  secrets: 1000,
};

/** One line of the log: what happened, never what is secret. */
export type LogLine = (
  level: 'info' | 'warn' | 'error',
  event: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

export interface VerifierContext {
  readonly store: Store;
  readonly judge: Judge;
  readonly book: ReleaseBook;
  readonly sealing: Sealing;
  readonly metrics: Metrics;
  readonly changes: Changes;
  /** The policy that counts now. */
  readonly policy: () => Policy;
  /** Digest of its rules, which changes in the same moment in which judges go by others. */
  readonly rules: () => string;
  readonly policyStatus: PolicyStatus;
  readonly limits: ServiceLimits;
  readonly limiters: {
    readonly address: RateLimiter;
    readonly node: RateLimiter;
    readonly strangers: RateLimiter;
  };
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: LogLine;
  readonly secretNames: SecretNames;
  readonly nodeAuthority: NodeAuthority;
  /** Public keys of tokens. */
  readonly jwks: JsonWebKeySet;
  /** `iss` of tokens. */
  readonly issuer: string;
  /** False once it stops. */
  readonly serving: () => boolean;
  /** Reads the releases of the store again and judges by them from then on. */
  readonly refreshReleases: () => Promise<void>;
}
