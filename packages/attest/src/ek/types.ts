/** What an applicant hands in, and what is decided about it. */

import type { TpmPublic } from '@osguard/formats/tpm2';
import type { Policy } from '../policy/types.ts';

export interface EnrolmentClaim {
  /** TPMT_PUBLIC. */
  readonly ek: Uint8Array;
  /** DER, leaf first; the leaf may carry the padding of its NV index. May be empty. */
  readonly ekCertificates: readonly Uint8Array[];
  /** TPMT_PUBLIC. */
  readonly ak: Uint8Array;
}

export interface EnrolmentContext {
  readonly policy: Pick<Policy, 'trust'>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export const enrolmentCheckIds = [
  'ek-format',
  'ek-profile',
  'ak-format',
  'ak-attributes',
  'ek-certificate',
  'ek-certificate-key',
  'ek-certificate-usage',
  'ek-certificate-role',
  'ek-certificate-path',
  'ek-certificate-revocation',
] as const;

export type EnrolmentCheckId = (typeof enrolmentCheckIds)[number];

export interface EnrolmentCheck {
  readonly id: EnrolmentCheckId;
  readonly ok: boolean;
  readonly message: string;
  readonly expected?: string;
  readonly found?: string;
}

export interface EnrolmentJudgement {
  /** A credential may be made for the attestation key; the node is enrolled only when its TPM opened it. */
  readonly accepted: boolean;
  readonly checks: readonly EnrolmentCheck[];
  /** The first check that is not ok. */
  readonly reason?: EnrolmentCheckId;
  /** Why the endorsement key is trusted; only when accepted. */
  readonly by?: 'certificate' | 'allow-list';
  /** Only when the keys could be read. */
  readonly node?: string;
  readonly ek?: TpmPublic;
  readonly ak?: TpmPublic;
  /** Of the attestation key, lower-case hex: store it with the node. */
  readonly akName?: string;
  /** What the certificate says of the TPM. */
  readonly tpm?: {
    readonly manufacturer: string | undefined;
    readonly model: string | undefined;
    readonly version: string | undefined;
  };
}
