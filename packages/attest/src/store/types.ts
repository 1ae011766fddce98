/**
 * What the verifier remembers, as one interface over SQLite and PostgreSQL. Times are milliseconds since 1970, given by
 * the caller: a store has no clock. Every method that changes something answers after it is durable; a refusal is an
 * answer, a StoreError means that nothing was decided.
 */

import type { SqlRow } from './driver.ts';
import type { PendingDecision } from './group-commit.ts';

export interface StoredNonce {
  /** Standard base64 of 32 bytes. */
  readonly nonce: string;
  readonly node: string;
  readonly purpose: string;
  readonly issued: number;
  readonly expires: number;
}

export interface NonceLimits {
  /** Who asks. */
  readonly address: string;
  readonly perAddress: number;
  readonly total: number;
}

export interface StoredEnrolment {
  readonly id: string;
  readonly node: string;
  readonly name: string;
  readonly ek: Uint8Array;
  readonly ak: Uint8Array;
  /** Lower-case hex. */
  readonly akName: string;
  /** SHA-256 of the secret, lower-case hex. */
  readonly secretHash: string;
  readonly address: string;
  /** How the endorsement key came to be trusted. */
  readonly endorsement: string;
  /** DER, leaf first; kept to look at them again when the policy changes. */
  readonly ekCertificates: readonly Uint8Array[];
  readonly expires: number;
}

export interface EnrolmentLimits {
  readonly now: number;
  readonly total: number;
  readonly perAddress: number;
}

/** See TpmClock of the library. The clock is decimal. */
export interface StoredClock {
  readonly clock: string;
  readonly resetCount: number;
  readonly restartCount: number;
}

/** See LastSeen of the library. */
export interface StoredLastSeen extends StoredClock {
  readonly version?: string | undefined;
}

export interface StoredCheck {
  readonly id: string;
  readonly ok: boolean;
  readonly message: string;
  readonly expected?: string | undefined;
  readonly found?: string | undefined;
  readonly where?: string | undefined;
}

/** `suspended` by an operator; `unendorsed`: nobody vouches for its endorsement key any more. */
export type NodeState = 'enrolled' | 'suspended' | 'unendorsed';

export interface StoredNode {
  readonly id: string;
  readonly name: string;
  readonly ek: Uint8Array;
  readonly ak: Uint8Array;
  readonly akName: string;
  readonly state: NodeState;
  /** Given by operators. */
  readonly labels: readonly string[];
  /** Until then another attestation key may be enrolled for this node. */
  readonly reenrolUntil: number | null;
  readonly enrolled: number;
  readonly endorsement: string;
  readonly last: StoredLastSeen | null;
}

/** Why a node counts as trusted now, or does not. */
export type TrustState =
  | 'trusted'
  /** Enrolled, and no evidence yet. */
  | 'new'
  /** The last evidence was refused. */
  | 'refused'
  /** The last verdict is too old, or from a time that has not come (the clock was set back). */
  | 'expired'
  /** The release it was trusted for is not allowed any more. */
  | 'release'
  /** Taken out: see its state. */
  | 'suspended';

export interface NodeSummary {
  readonly id: string;
  readonly name: string;
  readonly trust: TrustState;
  readonly enrolled: number;
  /** Of the last verdict. */
  readonly at: number | null;
  /** Until when it counts. */
  readonly expires: number | null;
  readonly release: { readonly id: string; readonly name: string; readonly version: string } | null;
  /** The first check that failed. */
  readonly reason: string | null;
  readonly agent: string | null;
}

export interface NodeDetail extends NodeSummary {
  readonly akName: string;
  readonly state: NodeState;
  readonly labels: readonly string[];
  /** SHA-256 of the TLS client key of the last verdict, lower-case hex. */
  readonly tlsKey: string | null;
  readonly endorsement: string;
  readonly reenrolUntil: number | null;
  /** Of the last evidence: those that failed, or all of a short list. */
  readonly checks: readonly StoredCheck[];
  readonly last: StoredLastSeen | null;
}

export interface NodeQuery {
  readonly now: number;
  /** Ids greater than this one. */
  readonly after?: string | undefined;
  /** 1 to 1000. */
  readonly limit: number;
  readonly trust?: TrustState | undefined;
  /** Release id. */
  readonly release?: string | undefined;
  /** Whole name. */
  readonly name?: string | undefined;
}

export interface TrustCount {
  readonly trust: TrustState;
  readonly release: string | null;
  readonly count: number;
}

export interface NewNode {
  readonly id: string;
  readonly name: string;
  readonly ek: Uint8Array;
  readonly ak: Uint8Array;
  readonly akName: string;
  readonly endorsement: string;
  /** DER, leaf first; without them nobody looks at its endorsement again. */
  readonly ekCertificates?: readonly Uint8Array[];
  readonly now: number;
}

/** How a node's endorsement key came to be trusted. */
export interface StoredEndorsement {
  readonly id: string;
  readonly state: NodeState;
  readonly enrolled: number;
  /** DER, leaf first; undefined when it enrolled with a version that did not keep them. */
  readonly ekCertificates: readonly Uint8Array[] | undefined;
  readonly endorsement: string;
  /** An operator let it in. */
  readonly approved: boolean;
}

export interface VerdictRecord {
  readonly nonce: string;
  readonly node: string;
  /** The key the evidence was judged with: a node that enrolled anew meanwhile is not touched. */
  readonly akName: string;
  readonly verdict: 'trusted' | 'refused';
  readonly at: number;
  readonly expires: number | null;
  readonly release: string | null;
  readonly reason: string | null;
  readonly checks: readonly StoredCheck[];
  /** Of the quote. */
  readonly clock: StoredClock;
  /** Of the release it is trusted with. */
  readonly version: string | null;
  /** Digest of the rules it was judged by; see `policy.load`. */
  readonly rules: string;
  /** SHA-256 of the TLS client key, lower-case hex. */
  readonly tlsKey: string;
  readonly agent: string;
  readonly data: PendingDecision['data'];
}

/** Somebody whose endorsement key nobody vouched for, waiting for an operator. */
export interface Applicant {
  readonly node: string;
  readonly name: string;
  readonly address: string;
  readonly first: number;
  readonly at: number;
  readonly attempts: number;
  readonly checks: readonly StoredCheck[];
}

export type StoredReleaseState = 'added' | 'promoted' | 'deprecated' | 'revoked';

export interface ReleaseSummary {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly state: StoredReleaseState;
  readonly from: number | null;
  readonly until: number | null;
  readonly added: number;
  readonly changed: number;
}

export interface StoredRelease extends ReleaseSummary {
  /** release.json: a DSSE envelope. */
  readonly manifest: Uint8Array;
  /** reference-values.json as the manifest lists it. */
  readonly referenceValues: Uint8Array;
}

export interface ReleaseChange {
  readonly id: string;
  readonly state: StoredReleaseState;
  readonly from: number | null;
  readonly until: number | null;
  readonly at: number;
  readonly actor: string;
}

/**
 * Which nodes a secret is for, of those that are trusted: those named or that have one of the labels (any, when neither is
 * given), as long as they run one of the releases (any, when none is given).
 */
export interface SecretScope {
  readonly nodes: readonly string[];
  readonly labels: readonly string[];
  /** Id, NAME or NAME@VERSION. */
  readonly releases: readonly string[];
}

export interface SecretSummary {
  readonly name: string;
  /** Bytes, before encryption. */
  readonly size: number;
  readonly set: number;
  readonly by: string;
  readonly scope: SecretScope | 'everyone';
}

export interface SecretRequest {
  readonly name: string;
  readonly tlsKey: string;
  readonly now: number;
  readonly address: string;
}

export type SecretAnswer =
  | {
      readonly outcome: 'released';
      readonly node: string;
      /** Until then its verdict counts. */
      readonly expires: number;
      readonly sealed: Uint8Array;
    }
  | { readonly outcome: 'not-trusted' | 'not-found' }
  | { readonly outcome: 'out-of-scope'; readonly node: string };

export const tokenRoles = ['viewer', 'operator', 'admin'] as const;
export type TokenRole = (typeof tokenRoles)[number];

export interface TokenSummary {
  readonly id: string;
  readonly name: string;
  readonly role: TokenRole;
  readonly created: number;
  readonly expires: number | null;
}

export interface Decision {
  readonly seq: number;
  /** Canonical JSON: what is hashed. */
  readonly body: string;
  /** SHA-256 of body, lower-case hex; the body holds the one before. */
  readonly hash: string;
  readonly change: boolean;
}

export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

export interface WebhookSummary {
  readonly id: string;
  readonly url: string;
  /** Decisions up to this one were delivered. */
  readonly cursor: number;
  readonly attempts: number;
  readonly nextAt: number;
  readonly lastError: string | null;
  readonly created: number;
}

export interface StoredWebhook extends WebhookSummary {
  /** Key of its HMAC, encrypted. */
  readonly sealed: Uint8Array;
}

export interface WebhookProgress {
  readonly id: string;
  readonly lease: string;
  readonly cursor: number;
  readonly attempts: number;
  readonly nextAt: number;
  readonly lastError: string | null;
}

/** Who did it, and when: for the log. */
export interface Act {
  readonly at: number;
  readonly actor: string;
}

/** A policy comes into force. */
export interface PolicyLoad {
  /** Of the rules, and the rules themselves: what of the policy decides about verdicts that were given before. */
  readonly digest: string;
  readonly rules: string;
  /** Digests of rules whose verdicts end; null are verdicts of which the rules are not known. */
  readonly endedRules: readonly (string | null)[];
  /** Ids of releases whose verdicts end. */
  readonly endedReleases: readonly string[];
  /** Milliseconds a verdict counts, at most. */
  readonly lifetime: number;
  readonly at: number;
  readonly data: PendingDecision['data'];
}

export interface Store {
  readonly kind: 'sqlite' | 'postgres';
  readonly nonces: {
    /**
     * `full` when there are too many outstanding ones for the node. Only nodes have nonces, which bounds how many there
     * are; an address has its own share, so that a stranger who asks for nonces of a node does not lock it out.
     */
    add(nonce: StoredNonce, limits: NonceLimits): Promise<'added' | 'full' | 'unknown-node'>;
  };
  readonly enrolments: {
    add(enrolment: StoredEnrolment, limits: EnrolmentLimits): Promise<'added' | 'full'>;
    /** Removes it: there is one try. Expired ones are given too, the caller has the clock. */
    take(id: string): Promise<StoredEnrolment | undefined>;
    /** Counts one more attempt of somebody who was refused; the list is bounded. */
    apply(applicant: Applicant, most: number): Promise<void>;
    applicants(): Promise<readonly Applicant[]>;
    /** Lets an endorsement key in without a certificate. */
    approve(node: string, act: Act): Promise<'approved' | 'already'>;
    isApproved(node: string): Promise<boolean>;
  };
  readonly nodes: {
    /** Adds the node or, when an operator allowed it or the key is the same, enrols it anew. */
    enrol(node: NewNode): Promise<'enrolled' | 'reenrolment-needed'>;
    find(id: string): Promise<StoredNode | undefined>;
    detail(id: string, now: number): Promise<NodeDetail | undefined>;
    list(query: NodeQuery): Promise<readonly NodeSummary[]>;
    counts(now: number): Promise<readonly TrustCount[]>;
    allowReenrolment(id: string, act: Act & { readonly until: number }): Promise<boolean>;
    setState(id: string, act: Act & { readonly state: 'enrolled' | 'suspended' }): Promise<boolean>;
    /** Those given before are gone. */
    setLabels(id: string, act: Act & { readonly labels: readonly string[] }): Promise<boolean>;
    /** By id, for another look at why they are trusted. */
    endorsements(query: {
      readonly after: string;
      readonly limit: number;
    }): Promise<readonly StoredEndorsement[]>;
    endorsement(id: string): Promise<StoredEndorsement | undefined>;
    /** From `enrolled` to `unendorsed` or back; suspended nodes stay so. */
    setEndorsed(id: string, act: Act & { readonly problem: string | null }): Promise<boolean>;
    /** Forgets it; its decisions stay. */
    remove(id: string, act: Act): Promise<boolean>;
  };
  readonly evidence: {
    /** What judging needs, in one step. */
    context(
      node: string,
      nonce: string,
    ): Promise<{ readonly node?: StoredNode; readonly nonce?: StoredNonce }>;
    /**
     * Uses the nonce up and stores the verdict. `overtaken`, and no verdict, when the node or its release was taken out
     * meanwhile, or a newer quote of the node was recorded: what counts is when the TPM signed, not who commits last.
     */
    record(verdict: VerdictRecord): Promise<'recorded' | 'nonce-gone' | 'node-changed' | 'overtaken'>;
    /** Uses the nonce up without touching the node: the sender did not prove to be it. */
    reject(nonce: string, decision: PendingDecision | undefined): Promise<'recorded' | 'nonce-gone'>;
  };
  readonly policy: {
    /** Rules that verdicts which count were given by, and what they say as far as that is known. */
    rules(): Promise<readonly { readonly digest: string | null; readonly rules: string | null }[]>;
    /** Ends verdicts and records that. @returns how many ended */
    load(change: PolicyLoad): Promise<number>;
    /** What this store was told last under a name. */
    mark(name: string): Promise<string | undefined>;
    setMark(name: string, value: string): Promise<void>;
  };
  readonly releases: {
    add(release: StoredRelease, actor: string): Promise<'added' | 'already'>;
    change(change: ReleaseChange): Promise<'changed' | 'unchanged' | 'not-found'>;
    list(): Promise<readonly ReleaseSummary[]>;
    find(id: string): Promise<StoredRelease | undefined>;
    /** Grows with every addition and change: replicas ask it to notice. */
    revision(): Promise<number>;
  };
  readonly secrets: {
    set(secret: SecretSummary & { readonly sealed: Uint8Array }): Promise<void>;
    remove(name: string, act: Act): Promise<boolean>;
    list(): Promise<readonly SecretSummary[]>;
    /** Gives the sealed secret when the node that spoke with this TLS key is trusted, and records it. */
    release(request: SecretRequest): Promise<SecretAnswer>;
  };
  readonly tokens: {
    add(token: TokenSummary & { readonly hash: string }, actor: string): Promise<void>;
    find(hash: string): Promise<TokenSummary | undefined>;
    list(): Promise<readonly TokenSummary[]>;
    remove(id: string, act: Act): Promise<boolean>;
  };
  readonly decisions: {
    append(decision: PendingDecision): Promise<number>;
    /** In order, at most `limit`. */
    list(query: {
      readonly after: number;
      readonly limit: number;
      readonly changes?: boolean;
    }): Promise<readonly Decision[]>;
    head(): Promise<ChainHead>;
  };
  readonly webhooks: {
    add(webhook: StoredWebhook, actor: string): Promise<void>;
    list(): Promise<readonly WebhookSummary[]>;
    remove(id: string, act: Act): Promise<boolean>;
    /** One that has something to deliver and that nobody else works on until `until`. */
    claim(request: {
      readonly now: number;
      readonly until: number;
      readonly lease: string;
    }): Promise<StoredWebhook | undefined>;
    progress(progress: WebhookProgress): Promise<void>;
  };
  /** Removes what is over, and tells of nodes whose verdict ran out. */
  sweep(now: number): Promise<void>;
  /** @throws StoreError unless the database answers */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** A row as the queries of this room shape it. */
export type Row = SqlRow;
