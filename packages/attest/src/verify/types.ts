/** What a verdict is made from, and what it is. */

import type { ReferenceRelease } from '../release/types.ts';
import type { Policy } from '../policy/types.ts';
import type { CheckId } from './ids.ts';
import type { TpmClock } from './tpm-clock.ts';

/** What enrolment and earlier verdicts know of a node. */
export interface NodeRecord {
  /** SHA-256 of `ek`, lower-case hex. */
  readonly node: string;
  /** TPMT_PUBLIC of the endorsement key. */
  readonly ek: Uint8Array;
  /** TPMT_PUBLIC of the attestation key that was bound to the EK by credential activation. */
  readonly ak: Uint8Array;
  /** Name of the AK at activation: algorithm and digest (34 bytes for SHA-256), lower-case hex. */
  readonly akName: string;
  /** `suspended` by an operator; `unendorsed`: nobody vouches for its endorsement key any more. */
  readonly state: 'enrolled' | 'suspended' | 'unendorsed';
  /** Undefined before the first verdict. */
  readonly last?: LastSeen | undefined;
}

/** Of the newest quote of the node that was recorded, whatever the verdict was. */
export interface LastSeen extends TpmClock {
  /** Of the release it was trusted with last; undefined before the first. */
  readonly version?: string | undefined;
}

/** A nonce as the store knows it. Times are milliseconds since 1970. */
export interface NonceRecord {
  /** 32 bytes. */
  readonly nonce: Uint8Array;
  readonly node: string;
  readonly purpose: string;
  readonly issued: number;
  readonly expires: number;
  /** When evidence with this nonce was handed in before. */
  readonly used?: number | undefined;
}

export interface VerifyContext {
  /** Undefined when the store knows no such node: the verdict is `refused`. */
  readonly node: NodeRecord | undefined;
  /** Undefined when the store knows no such nonce: the verdict is `refused`. */
  readonly nonce: NonceRecord | undefined;
  /** SubjectPublicKeyInfo of the TLS client's key, or the word that says that there is no connection to compare with. */
  readonly channelKey: Uint8Array | 'offline';
  readonly policy: Policy;
  /** Every release the verifier knows, also deprecated and revoked ones: those are what refusals are explained with. */
  readonly releases: readonly ReferenceRelease[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface AttestCheck {
  readonly id: CheckId;
  readonly ok: boolean;
  /** What had to be found. */
  readonly expected?: string;
  readonly found?: string;
  /** PCR and event, member of the evidence, byte offset. */
  readonly where?: string;
  /** For people. */
  readonly message: string;
}

export interface Verdict {
  readonly verdict: 'trusted' | 'refused';
  /**
   * The quote was made by the node's attestation key for this nonce and this TLS key. When false, anybody may have sent
   * this: it must not change what is known of the node.
   */
  readonly authenticated: boolean;
  /** In the order they were made; at least one is not ok when refused. */
  readonly checks: readonly AttestCheck[];
  /** The first check that is not ok. */
  readonly reason?: CheckId;
  /** The release whose reference values were matched, or that the refusal is explained with. */
  readonly release?: { readonly name: string; readonly version: string; readonly id: string };
  /** Store this with the node, whatever the verdict is. Only when authenticated. */
  readonly clock?: TpmClock;
  /** Signed by the TPM; only when trusted. Lower-case hex by index. */
  readonly pcrs?: ReadonlyMap<number, string>;
}
