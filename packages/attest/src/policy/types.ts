/** A policy as the verifier sees it: defaults filled in, files read, certificates parsed. */

import type { Certificate, RevocationList } from '@osguard/formats/x509';

export const policySchemaName = 'osguard/attest-policy/v1';

export type ReleaseState = 'promoted' | 'deprecated' | 'revoked';

export interface Policy {
  readonly name: string;
  readonly trust: {
    /** Certificates an EK certificate's path must end at. Empty: no certificate is accepted. */
    readonly endorsementRoots: readonly Certificate[];
    /** Intermediate authorities; they prove nothing by themselves. */
    readonly endorsementIntermediates: readonly Certificate[];
    /** Node ids (SHA-256 of the EK's public area, lower-case hex) accepted without a certificate. */
    readonly endorsementKeys: ReadonlySet<string>;
    /** Which endorsement certificates were revoked. */
    readonly revocation: RevocationRules;
    /** Whose signatures on release.json count. */
    readonly release: readonly Certificate[];
  };
  readonly releases: readonly PolicyRelease[];
  /** Older releases are refused, whatever their state; undefined: no such floor. */
  readonly minimumVersion: string | undefined;
  /** A node that ran a newer release before is refused an older one. */
  readonly rollbackProtection: boolean;
  readonly quote: {
    /** Ascending, without repetition; bank SHA-256. */
    readonly pcrs: readonly number[];
    /** Milliseconds from the issue of the nonce to the judgement of the evidence. */
    readonly maximumAge: number;
    /** Milliseconds by which the clocks of verifier replicas may differ. */
    readonly clockSkew: number;
  };
  readonly firmware: FirmwareRules;
  readonly verdict: {
    /** Milliseconds. */
    readonly lifetime: number;
  };
  readonly token: {
    /** Milliseconds; at most that of the verdict counts. */
    readonly lifetime: number;
  };
}

export interface RevocationRules {
  /** Each counts for the authority that signed it. */
  readonly lists: readonly RevocationList[];
  /** An authority without a list is refused, the root's own certificate excepted. */
  readonly required: boolean;
  /** Milliseconds a list counts after the next one was due. */
  readonly grace: number;
}

export interface PolicyRelease {
  /** As written in the policy, relative to its folder: the release folder or a copy of its two signed files. */
  readonly folder: string;
  readonly state: ReleaseState;
  /** Milliseconds since 1970; accepted from. */
  readonly from: number | undefined;
  /** Accepted until; a deprecated release has one. */
  readonly until: number | undefined;
}

export interface FirmwareRules {
  /** SHA-256 digests of images that dbx must refuse, lower-case hex. */
  readonly dbx: readonly string[];
  /** Firmware versions (text of EV_S_CRTM_VERSION) that are accepted; empty: any. */
  readonly versions: readonly string[];
  /** Accepted values of PCR 0, lower-case hex; empty: any. */
  readonly pcr0: readonly string[];
  /** SHA-256 digests of drivers and option ROMs (PCR 2) that may run; empty: none may. */
  readonly drivers: readonly string[];
}

/** A policy as written: paths instead of what they name. Durations are milliseconds, times milliseconds since 1970. */
export interface WrittenPolicy {
  readonly schema: typeof policySchemaName;
  readonly name: string;
  readonly trust: {
    readonly endorsement: {
      readonly roots: readonly string[];
      readonly intermediates: readonly string[];
      readonly keys: readonly string[];
      readonly revocation: {
        readonly lists: readonly string[];
        readonly required: boolean;
        readonly grace: number;
      };
    };
    readonly release: readonly string[];
  };
  readonly releases: readonly {
    readonly folder: string;
    readonly state: ReleaseState;
    readonly from?: number | undefined;
    readonly until?: number | undefined;
  }[];
  readonly minimumVersion?: string | undefined;
  readonly rollbackProtection: boolean;
  readonly quote: {
    readonly pcrs: readonly number[];
    readonly maximumAge: number;
    readonly clockSkew: number;
  };
  readonly firmware: FirmwareRules;
  readonly verdict: { readonly lifetime: number };
  readonly token: { readonly lifetime: number };
}
